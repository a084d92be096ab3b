"""ActiveMQ Classic, speaking STOMP, for tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from xml.sax.saxutils import quoteattr

from typing_extensions import override

from tests.servers.certificates import KEYSTORE_PASSWORD, Certificates
from tests.servers.process import answers, free_port, listens
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

USER, PASSWORD = "relay", "secret"
READER, READER_PASSWORD = "reader", "look-only"
PROBE = f"STOMP\naccept-version:1.2\nhost:/\nlogin:{USER}\npasscode:{PASSWORD}\n\n\0".encode()

CONFIGURATION = """\
<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
    http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
    http://activemq.apache.org/schema/core
    http://activemq.apache.org/schema/core/activemq-core.xsd">
 <broker xmlns="http://activemq.apache.org/schema/core" brokerName="tidings"
   useJmx="false" schedulerSupport="false" dataDirectory={data}>
  <persistenceAdapter><kahaDB directory={store} journalMaxFileLength="16mb"/></persistenceAdapter>
  <plugins>
   <simpleAuthenticationPlugin anonymousAccessAllowed="false"><users>
    <authenticationUser username={user} password={password} groups="writers,readers"/>
    <authenticationUser username={reader} password={reader_password} groups="readers"/>
   </users></simpleAuthenticationPlugin>
   <authorizationPlugin><map><authorizationMap><authorizationEntries>
    <authorizationEntry queue=">" read="readers" write="writers" admin="writers"/>
    <authorizationEntry topic=">" read="readers" write="writers" admin="writers"/>
    <authorizationEntry topic="ActiveMQ.Advisory.>"
      read="readers" write="readers" admin="readers"/>
   </authorizationEntries></authorizationMap></map></authorizationPlugin>
  </plugins>
  {ssl_context}
  <systemUsage><systemUsage>
   <memoryUsage><memoryUsage limit={memory_limit}/></memoryUsage>
   <storeUsage><storeUsage limit={store_limit}/></storeUsage>
   <tempUsage><tempUsage limit="64 mb"/></tempUsage>
  </systemUsage></systemUsage>
  <transportConnectors>{connectors}</transportConnectors>
 </broker>
</beans>
"""

# Debian's ActiveMQ reads the first, the project's own the second.
LOG4J_1 = """\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
"""
LOG4J_2 = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
"""


class ActiveMQ(Server):
    """An ActiveMQ broker with a user who may do all, and one who may only read."""

    name: ClassVar[str] = "ActiveMQ"

    def __init__(
        self,
        directory: Path,
        *,
        tls: Certificates | None = None,
        memory_limit: str = "256 mb",
        store_limit: str = "1 gb",
        heap: str = "1g",
    ) -> None:
        """Configure the broker: `stomp+ssl` with `tls`; limits as ActiveMQ writes them."""
        super().__init__(directory)
        self.tls = tls
        self.memory_limit = memory_limit
        self.store_limit = store_limit
        self.heap = heap
        self.port = free_port()
        self.tls_port = free_port()

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if ActiveMQ and Java are installed, else what to install."""
        if not shutil.which("java"):
            return "Java is not installed: install the package activemq (or a JRE)"
        if not _jar().exists():
            return (
                "ActiveMQ Classic is not installed: install the package activemq, "
                "or set ACTIVEMQ_HOME to its folder"
            )
        return None

    @property
    @override
    def url(self) -> str:
        """The address for STOMP without TLS."""
        return self.url_for(USER, PASSWORD)

    @property
    def reader_url(self) -> str:
        """The address for STOMP without TLS, as the user who may only read."""
        return self.url_for(READER, READER_PASSWORD)

    @property
    def tls_url(self) -> str:
        """The address for STOMP over TLS, by the name that the certificate holds."""
        return f"stomp+ssl://{USER}:{PASSWORD}@localhost:{self.tls_port}"

    def url_for(self, user: str, password: str) -> str:
        """Return the address for STOMP without TLS, as another user."""
        return f"stomp://{user}:{password}@127.0.0.1:{self.port}"

    @override
    def prepare(self) -> None:
        """Write the configuration."""
        (self.directory / "tmp").mkdir(exist_ok=True)
        (self.directory / "activemq.xml").write_text(self._configuration())
        (self.directory / "log4j.properties").write_text(LOG4J_1)
        (self.directory / "log4j2.properties").write_text(LOG4J_2)

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the Java command; a small machine's compiler and collector start fastest."""
        folder = self.directory
        java = shutil.which("java") or "java"
        return [
            *(java, "-Xms64m", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("--add-opens", "java.base/java.lang=ALL-UNNAMED"),
            *("--add-opens", "java.base/java.util=ALL-UNNAMED"),
            "-Djava.awt.headless=true",
            f"-Djava.io.tmpdir={folder / 'tmp'}",
            f"-Dactivemq.home={_home()}",
            f"-Dactivemq.base={folder}",
            f"-Dactivemq.conf={folder}",
            f"-Dactivemq.data={folder}/data",
            f"-Dactivemq.classpath={folder}",
            f"-Dlog4j.configuration=file:{folder}/log4j.properties",
            f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties",
            *("-jar", _jar(), "start", f"xbean:file:{folder}/activemq.xml"),
        ]

    @override
    def ready(self) -> bool:
        """Ask for a STOMP session; with TLS, see that its port, opened later, is there too."""
        if self.tls and not listens(self.tls_port):
            return False
        return answers(self.port, PROBE, b"CONNECTED")

    def _configuration(self) -> str:
        connectors = [f'<transportConnector name="stomp" uri="stomp://127.0.0.1:{self.port}"/>']
        ssl_context = ""
        if self.tls:
            # With 64 KiB, as by default, the kernel may drop segments of a large message for ever.
            # That is on Linux 6.17 and newer, with Java 25 (see the plugin's README).
            uri = f"stomp+ssl://127.0.0.1:{self.tls_port}?transport.socketBufferSize=4194304"
            connectors.append(f'<transportConnector name="stomp+ssl" uri="{uri}"/>')
            ssl_context = (
                f'<sslContext><sslContext keyStoreType="PKCS12"'
                f" keyStore={quoteattr(self.tls.server.keystore.as_uri())}"
                f" keyStorePassword={quoteattr(KEYSTORE_PASSWORD)}/></sslContext>"
            )
        return CONFIGURATION.format(
            data=quoteattr(str(self.directory / "data")),
            store=quoteattr(str(self.directory / "data" / "kahadb")),
            user=quoteattr(USER),
            password=quoteattr(PASSWORD),
            reader=quoteattr(READER),
            reader_password=quoteattr(READER_PASSWORD),
            memory_limit=quoteattr(self.memory_limit),
            store_limit=quoteattr(self.store_limit),
            ssl_context=ssl_context,
            connectors="".join(connectors),
        )


def _home() -> Path:
    return Path(os.environ.get("ACTIVEMQ_HOME", "/usr/share/activemq"))


def _jar() -> Path:
    return _home() / "bin" / "activemq.jar"
