"""Errors say what to do with the segment they met; nobody keeps a list of classes."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Disposition(StrEnum):
    """What the worker does next."""

    RETRY = "retry"  # back off and take the same segment again
    REJECT = "reject"  # dead-letter the segment and go on
    HALT = "halt"  # stop without committing; a person must look


class Stage(StrEnum):
    """Where in the road from record to verdict something went wrong."""

    WIRE = "wire"
    CLAIM = "claim"
    DECODE = "decode"
    SCORE = "score"
    CONCLUDE = "conclude"
    PUBLISH = "publish"


class ScannerError(Exception):
    """Root of every error this package raises on purpose."""

    disposition: ClassVar[Disposition] = Disposition.HALT
    stage: ClassVar[Stage] = Stage.CONCLUDE


class SegmentInvalidError(ScannerError):
    """The record is not a segment: a header is missing, malformed, or disagrees with the payload."""

    disposition = Disposition.REJECT
    stage = Stage.WIRE


class ClaimRefusedError(ScannerError):
    """The claim check points outside the allowed roots, or its size or digest is not the promised one."""

    disposition = Disposition.REJECT
    stage = Stage.CLAIM


class ClaimUnavailableError(ScannerError):
    """The store behind a claim check does not answer; the segment itself may be fine."""

    disposition = Disposition.RETRY
    stage = Stage.CLAIM


class StoreUnavailableError(ScannerError):
    """The store in which an archive lies does not answer, or not to us."""

    disposition = Disposition.HALT
    stage = Stage.CLAIM


class MediaError(ScannerError):
    """The bytes cannot be read as video within the limits."""

    disposition = Disposition.REJECT
    stage = Stage.DECODE


class CellLostError(ScannerError):
    """The decode cell died or overran its wall clock; a fresh cell may do better once."""

    disposition = Disposition.RETRY
    stage = Stage.DECODE


class InferenceError(ScannerError):
    """The model failed on a batch."""

    disposition = Disposition.RETRY
    stage = Stage.SCORE


class DeviceUnavailableError(ScannerError):
    """The device asked for is not there. Never answered by a silent fall back."""

    disposition = Disposition.HALT
    stage = Stage.SCORE


class ModelMismatchError(ScannerError):
    """The model file is not what its card promises."""

    disposition = Disposition.HALT
    stage = Stage.SCORE


class BrokerUnavailableError(ScannerError):
    """The bus does not answer within its deadline."""

    disposition = Disposition.RETRY
    stage = Stage.PUBLISH


class BrokerRefusedError(ScannerError):
    """The broker answers, and its answer is no: credentials, rights, sizes, versions."""

    disposition = Disposition.HALT
    stage = Stage.PUBLISH


class TopicMissingError(ScannerError):
    """The topic is not there. Topics are created by a command, never by a misspelt name."""

    disposition = Disposition.HALT
    stage = Stage.PUBLISH


class MembershipLostError(ScannerError):
    """The group has gone on: poll again, then commit only what is still this member's."""

    disposition = Disposition.RETRY
    stage = Stage.PUBLISH


class ReplacedError(ScannerError):
    """Somebody else does this now, and goes on from here: what was flushed is done, the rest is theirs."""

    disposition = Disposition.HALT
    stage = Stage.PUBLISH


class WorkerStuckError(ScannerError):
    """A partition yields nothing, whatever this process tried: another process may do better."""

    disposition = Disposition.HALT
    stage = Stage.PUBLISH


class SettingsError(ScannerError):
    """A setting is missing or contradicts another one."""

    disposition = Disposition.HALT
