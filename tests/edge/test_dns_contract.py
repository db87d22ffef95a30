"""The contract on the fake and on DnsResolver in front of the lab's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
import pytest_asyncio

from monitor.edge.clock import SystemClock
from monitor.edge.dns import DnsResolver
from monitor.lab.dns import DnsServer, Trouble
from monitor.model.dns import DnsFailure, RecordType
from tests.edge.resolver_contract import Bench, ResolverContract
from tests.fakes.resolver import FakeResolver


class FakeBench:
    server = "192.0.2.53"

    def __init__(self) -> None:
        self.resolver = FakeResolver()

    async def publish(self, name: str, rtype: RecordType, *records: str) -> None:
        self.resolver.failures.pop(name, None)
        if rtype is RecordType.CNAME:
            self.resolver.aliases[name] = records[0].rstrip(".")
        else:
            self.resolver.records[(name, rtype)] = tuple(_plain(rtype, record) for record in records)

    async def fail(self, name: str, failure: DnsFailure) -> None:
        self.resolver.failures[name] = failure


def _plain(rtype: RecordType, record: str) -> str:
    if rtype is RecordType.TXT:
        return "".join(record.split('"')[1::2]).replace("\\195", "\u00c3").replace("\\188", "\u00bc")
    if rtype is RecordType.AAAA:
        return record.lower().replace(":0::", "::")
    return record.lower().rstrip(".")


class LabBench:
    server = "127.0.0.1"
    troubles: ClassVar[dict[DnsFailure, Trouble]] = {
        DnsFailure.SERVFAIL: Trouble.SERVFAIL,
        DnsFailure.REFUSED: Trouble.REFUSED,
        DnsFailure.TIMEOUT: Trouble.DROP,
        DnsFailure.BOGUS: Trouble.BOGUS,
    }

    def __init__(self, server: DnsServer) -> None:
        self.dns = server
        self.resolver = DnsResolver((f"127.0.0.1:{server.port}",), 2.0, server.port, SystemClock())

    async def publish(self, name: str, rtype: RecordType, *records: str) -> None:
        self.dns.troubles.pop(name, None)
        self.dns.replace_record(name, rtype.value, *records)

    async def fail(self, name: str, failure: DnsFailure) -> None:
        self.dns.troubles[name] = self.troubles[failure]


@pytest_asyncio.fixture(params=["fake", "lab"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    server = DnsServer()
    server.set_zone("zone.test", "")
    server.set_zone(".", "")
    await server.start()
    made = LabBench(server)
    yield made
    await made.resolver.close()
    await server.close()


class TestResolver(ResolverContract):
    pass
