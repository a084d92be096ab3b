"""What an operator asks of tidings: plain functions and results, without a terminal or HTML."""
