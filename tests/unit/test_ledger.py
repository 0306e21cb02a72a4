"""What may be committed when: outputs and offsets move together, in the order of each partition."""

from __future__ import annotations

from scanner.ledger import Ledger
from scanner.ports import Delivery, Record


def delivery(partition, offset):
    return Delivery(Record("segments", b"k", b"12345"), partition, offset, 0)


def answered(debt, word):
    debt.outputs = (Record("verdicts", b"k", word),)


def test_an_answer_waits_for_the_one_before_it_in_its_partition() -> None:
    # partition 0   10 …   11 ✔   12 ✔
    ledger = Ledger()
    ten, eleven, twelve = (ledger.take(delivery(0, offset), 0.0) for offset in (10, 11, 12))
    answered(eleven, b"b")
    answered(twelve, b"c")
    assert ledger.payable() is None
    answered(ten, b"a")
    payment = ledger.payable()
    assert payment is not None
    assert [record.value for record in payment.outputs] == [b"a", b"b", b"c"]
    assert payment.offsets == {("segments", 0): 13}


def test_partitions_do_not_wait_for_each_other() -> None:
    ledger = Ledger()
    ledger.take(delivery(0, 5), 0.0)
    other = ledger.take(delivery(1, 7), 0.0)
    answered(other, b"x")
    payment = ledger.payable()
    assert payment is not None
    assert payment.offsets == {("segments", 1): 8}


def test_what_was_paid_is_not_owed_again_and_what_was_not_is() -> None:
    ledger = Ledger()
    first, second = ledger.take(delivery(0, 1), 0.0), ledger.take(delivery(0, 2), 0.0)
    answered(first, b"a")
    payment = ledger.payable()
    answered(second, b"b")  # settled between collecting and confirming
    ledger.paid(payment)
    assert len(ledger) == 1
    assert ledger.payable().offsets == {("segments", 0): 3}


def test_a_revoked_partition_is_forgotten() -> None:
    ledger = Ledger()
    debt = ledger.take(delivery(0, 1), 0.0)
    ledger.drop([("segments", 0)])
    assert not ledger.owes(debt)
    assert ledger.pending_bytes == 0


def test_a_payment_is_the_same_until_it_is_made_less_what_was_dropped() -> None:
    ledger = Ledger()
    here, there, later = (ledger.take(delivery(*place), 0.0) for place in ((0, 1), (1, 7), (0, 2)))
    answered(here, b"a")
    answered(there, b"b")
    offered = ledger.payable()
    answered(later, b"c")
    assert ledger.payable() is offered
    ledger.drop([("segments", 1)])
    left = ledger.payable()
    assert left is not None
    assert (left.offsets, [record.value for record in left.outputs]) == ({("segments", 0): 2}, [b"a"])
    ledger.paid(left)
    assert [record.value for record in ledger.payable().outputs] == [b"c"]
