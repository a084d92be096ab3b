#!/bin/sh
# Install the servers and programs that the tests start, from Debian's or Ubuntu's own packages.
# Does nothing if they are all there. If it cannot, it says how else, and is no failure:
# the tests then skip what is missing (or fail, with TIDINGS_REQUIRE_SERVERS=1).
set -eu
PATH=$PATH:/usr/sbin

missing=''
need() { # PACKAGE, then a test of whether its server is there
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has_postgresql() { ls /usr/lib/postgresql/*/bin/postgres || command -v postgres; }
has_activemq() { command -v java && ls "${ACTIVEMQ_HOME:-/usr/share/activemq}/bin/activemq.jar"; }
has_mariadb() { command -v mariadbd || command -v mysqld; }
has_librabbitmq() { echo '#include <amqp.h>' | cc -fsyntax-only -x c -; }

need rabbitmq-server command -v rabbitmq-server
need activemq has_activemq
need postgresql has_postgresql
need mariadb-server has_mariadb
need redis-server command -v redis-server
need pgbouncer command -v pgbouncer
need prometheus command -v promtool
need logrotate command -v logrotate
need systemd command -v systemd-analyze
need 'gcc libc6-dev librabbitmq-dev' has_librabbitmq

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$missing. compose.yaml starts them, and says how the tests find them."
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Not installed:$missing. To install them: sudo scripts/install-servers.sh"
    exit 0
fi

# The tests start servers of their own: the packages shall start none, unless a policy on that
# is already there.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi

echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086  # one word for each package
apt-get install -q -y --no-install-recommends $missing
