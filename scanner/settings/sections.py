"""The tree of settings: a section a subject, each setting with its default and what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

ItemT = TypeVar("ItemT")


def _listed(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


Listed = Annotated[tuple[ItemT, ...], BeforeValidator(_listed)]
"""in TOML a list; in an environment variable divided by commas"""


def _unless_empty(value: Any) -> Any:
    return None if value == "" else value


Seconds = Annotated[float | None, BeforeValidator(_unless_empty)]
"""None where an environment variable, or a string in TOML, is empty"""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Scan(Section):
    model: str = Field("tempo-s", description="A model's name among those that came along, or the path of its folder.")
    device: str = Field("auto", description="auto, cpu, cuda:N or tensorrt:N. One asked for and missing is an error.")
    decode: str = Field("cpu", description="cpu or cuda:N (NVDEC); a GPU leaves cells fewer layers: see Security.")
    coverage: Literal["auto", "full", "inspect", "patrol"] = Field(
        "auto", description="How much is decoded. auto: files in full; live streams patrolled, inspected on suspicion."
    )
    cells: int = Field(0, ge=0, le=256, description="Decode cells (processes); 0 is one a core.")
    score_threads: int = Field(0, ge=0, le=256, description="Batches scored at once on the CPU; 0 is one a core.")
    batch_size: int = Field(0, ge=0, le=256, description="Clips in a full batch; 0 is 1 on the CPU and 16 on a GPU.")
    batch_wait_ms: float = Field(5.0, ge=0, le=1000, description="How long a batch's first clip waits for company.")
    segment_s: float = Field(2.0, gt=0, le=30, description="Length at which files are cut, at the next keyframe.")


class Cell(Section):
    max_pixels: int = Field(8192 * 4352, gt=0, description="Largest picture a cell decodes, width × height.")
    max_frames: int = Field(8192, gt=0, description="Most frames in one segment.")
    max_duration_s: float = Field(60.0, gt=0, description="Longest segment.")
    max_faces: int = Field(16, gt=0, description="Most faces followed at once; the most confident ones are kept.")
    wall_clock_s: float = Field(60.0, gt=0, description="A cell that takes longer over one segment is killed.")
    memory_mib: int = Field(1536, gt=0, description="Address space of a cell.")


class PolicySettings(Section):
    suspected_from: float | None = Field(None, ge=0, le=1, description="Score called suspected; unset: the card's.")
    manipulated_from: float | None = Field(None, ge=0, le=1, description="Score called manipulated; unset: the card's.")
    min_face_px: int | None = Field(None, ge=0, description="Smallest face that is judged; unset: the card's.")
    min_sharpness: float | None = Field(None, ge=0, le=1, description="Least sharpness judged; unset: the card's.")
    min_brightness: float | None = Field(None, ge=0, le=1, description="Least brightness judged; unset: the card's.")
    min_frontality: float | None = Field(None, ge=0, le=1, description="Least frontality judged; unset: the card's.")
    false_alarms_per_1000_h: float = Field(10.0, gt=0, description="Alerts that a stream of real faces may cause.")
    inspect_from: float = Field(2.0, gt=0, description="Evidence (log e-value) from which a stream is inspected.")
    calm_segments: int = Field(5, gt=0, description="Calm segments after which it is patrolled again.")
    clear_clips: int = Field(20, gt=0, description="Calm clips after which an alert is cleared.")
    patrol_clips: int = Field(1, gt=0, le=64, description="Clips back to back in each look of a patrol.")
    patrol_every_s: float = Field(
        0.0, ge=0, le=60, description="Seconds of video between two looks of a patrol; 0: one a segment, at its head."
    )


class Kafka(Section):
    bootstrap_servers: Listed[str] = Field(("localhost:9092",), description="Brokers to ask first, host:port.")
    group: str = Field("scanner", description="Consumer group of the workers.")
    instance: str | None = Field(None, description="Static member name of this worker; unset: a dynamic member.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(None, description="With SASL_*.")
    username: str | None = Field(None, description="SASL user.")
    password: SecretStr | None = Field(None, description="SASL password.")
    ca_file: Path | None = Field(None, description="Certificate authorities that vouch for the brokers, PEM.")
    cert_file: Path | None = Field(None, description="This client's certificate, PEM.")
    key_file: Path | None = Field(None, description="This client's key, PEM.")


class TopicSettings(Section):
    segments: str = Field("scanner.segments", description="Encoded video in.")
    verdicts: str = Field("scanner.verdicts", description="One verdict a segment out.")
    alerts: str = Field("scanner.alerts", description="Edges: evidence raised, evidence cleared.")
    states: str = Field("scanner.states", description="What is remembered of each stream; compacted.")
    deadletters: str = Field("scanner.deadletters", description="Segments that got no verdict, with the reason.")
    reviews: str = Field("scanner.reviews", description="Decisions of people on verdicts.")
    archive: str | None = Field(
        "scanner.archive", description="Encoded video of archives in, answered when no live segment waits; empty: none."
    )
    archive_states: str = Field(
        "scanner.archive.states", description="What is remembered of each stream of an archive; compacted."
    )
    faces: str = Field("scanner.faces", description="Small pictures of faces, soon forgotten.")
    shadow: str = Field("scanner.shadow", description="Verdicts of `worker.shadow_model`, for comparison.")
    partitions: int = Field(12, gt=0, description="Partitions of each topic when created.")


class Claims(Section):
    inline_limit_bytes: int = Field(4 * 1024 * 1024, gt=0, description="Larger segments travel as claim checks.")
    write_to: str | None = Field(None, description="Where publish stores them: file:///… or s3://bucket/prefix.")
    file_roots: Listed[Path] = Field((), description="Folders below which file:// claims may lie.")
    s3_buckets: Listed[str] = Field((), description="Buckets that s3:// claims may name.")
    s3_endpoint: str | None = Field(None, description="Endpoint of an S3-compatible store.")
    https_hosts: Listed[str] = Field((), description="Hosts that https:// claims may name, host or host:port.")
    https_ca_file: Path | None = Field(None, description="Authorities that vouch for them, PEM; unset: the system's.")
    https_private: bool = Field(False, description="Whether they may have private, loopback or link-local addresses.")
    https_timeout_s: float = Field(30.0, gt=0, description="Longest fetch over HTTPS, from name to last byte.")
    max_bytes: int = Field(256 * 1024 * 1024, gt=0, description="Largest segment fetched.")
    wait_s: float = Field(
        300.0, ge=0, description="A store that is away is asked again for so long; then the segment is a dead letter."
    )


class WorkerSettings(Section):
    commit_interval_ms: int = Field(500, gt=0, description="Answers are made durable at least this often.")
    pending_mib: int = Field(256, gt=0, description="Fetched and not yet answered bytes; above it, fetching pauses.")
    drain_s: float = Field(20.0, ge=0, description="On SIGTERM, time to finish what was begun.")
    patrol_after_s: Seconds = Field(
        20.0, gt=0, description="Live segments that are older when their turn comes are patrolled only; empty: never."
    )
    shed_after_s: Seconds = Field(
        60.0, gt=0, description="Live segments that are older are answered without a look (`shed`); empty: never."
    )
    inspect_at_once: int = Field(
        0, ge=0, description="Most streams inspected at once, the most suspicious first; 0 is two a decode cell."
    )
    forget_after_s: float = Field(3600.0, gt=0, description="A stream that is silent so long is forgotten.")
    stuck_after_s: float = Field(300.0, gt=0, description="A partition that stands still so long is roused.")
    shadow_model: str | None = Field(
        None, description="A second model that scores the same clips, its verdicts on `topics.shadow`; unset: none."
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of /metrics, /livez and /readyz; unset: none."
    )


class ProvenanceSettings(Section):
    c2pa_trust: Path | None = Field(None, description="Authorities that vouch for C2PA signers, PEM; unset: nobody.")
    c2pa_wait_s: float = Field(30.0, gt=0, description="Longest reading of a file's C2PA manifest; then: unreadable.")


class Audit(Section):
    retention_days: int = Field(183, gt=0, description="Verdicts, alerts and reviews are kept on their topics so long.")


class Faces(Section):
    kept_min: float = Field(
        60.0, ge=0, description="Small pictures of judged faces are kept so long for the wall; 0: none are ever made."
    )
    every_s: float = Field(10.0, ge=0, description="A stream's pictures are renewed at most this often.")


class DashboardSettings(Section):
    host: str = Field("127.0.0.1", description="Address the dashboard listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Its port; 0 takes a free one.")
    users_file: Path = Field(
        Path("scanner-users.json"), description="Who may sign in; written by `scanner dashboard users`."
    )
    session_hours: float = Field(12.0, gt=0, le=720, description="After that everybody signs in again.")
    reviewers: int = Field(1, ge=1, le=2, description="People who have to answer a case; 2 is the two-person rule.")
    lookback_min: float = Field(15.0, ge=0, description="How far back it reads when it starts.")
    streams: int = Field(2000, gt=0, description="Streams it remembers.")
    group_by: str = Field("/", description="A stream's group is its name up to this; empty: there are no groups.")
    points: int = Field(300, gt=0, description="Verdicts it remembers of each.")
    runs: Path | None = Field(None, description="Folder with the `--out` folders of replays, to show; unset: none.")
    https: bool = Field(default=False, description="A proxy in front speaks TLS: cookies are for https alone.")
    tls_cert: Path | None = Field(None, description="Certificate, PEM: the dashboard itself speaks TLS.")
    tls_key: Path | None = Field(None, description="Its key, PEM.")
    metrics_port: int | None = Field(None, ge=0, le=65535, description="Port of the dashboard's /metrics; unset: none.")


class OidcSettings(Section):
    issuer: str | None = Field(None, description="OpenID Connect provider to sign in with; unset: local users alone.")
    client_id: str | None = Field(None, description="The dashboard's name there.")
    client_secret: SecretStr | None = Field(None, description="Its secret; unset: a public client, with PKCE alone.")
    scope: str = Field("openid profile email", description="What is asked for.")
    redirect: str | None = Field(
        None, description="Where the provider sends people back: https://HOST/sign-in/oidc/back; unset: as asked."
    )
    name_claim: str = Field("email", description="Claim that names a person, in reviews as well.")
    role_claim: str = Field("roles", description="Claim with the roles; a.b looks into nested ones.")
    viewers: Listed[str] = Field(("scanner-viewer",), description="Its values that make a viewer; *: everybody.")
    reviewers: Listed[str] = Field(("scanner-reviewer",), description="Its values that make a reviewer.")
    admins: Listed[str] = Field(("scanner-admin",), description="Its values that make an admin.")


class IngestSettings(Section):
    segment_s: float = Field(2.0, gt=0, le=30, description="Length at which live streams are cut, at a keyframe.")
    stall_s: float = Field(10.0, gt=0, le=3600, description="A source that sends nothing for so long is dead.")
    longest_pause_s: float = Field(30.0, gt=0, le=3600, description="Most time between two tries to reconnect.")
    end_after_s: float = Field(60.0, gt=0, description="A stream silent for so long gets its end-of-stream record.")
    spool_dir: Path | None = Field(None, description="Segments wait here for the broker; unset: the state folder.")
    spool_mib: int = Field(1024, gt=0, description="Most that waits; above it the oldest segments are lost.")
    drain_s: float = Field(10.0, ge=0, description="On SIGTERM, time to publish what waits.")
    api_host: str = Field("127.0.0.1", description="Address on which sources are added and removed by HTTP.")
    api_port: int | None = Field(None, ge=0, le=65535, description="Its port, 0 takes a free one; unset: no such API.")
    api_token: SecretStr | None = Field(None, min_length=16, description="What its users must know; it needs one.")


class OtelSettings(Section):
    endpoint: str | None = Field(
        None,
        description="Collector of a worker's traces, OTLP over HTTP: http://HOST:4318/v1/traces; unset: no traces.",
    )
    share: float = Field(
        1.0, ge=0, le=1, description="Of segments that nobody traces yet; those with a sampled traceparent always are."
    )


class ReplaySettings(Section):
    metrics_port: int | None = Field(None, ge=0, le=65535, description="Port of a replay's /metrics; unset: none.")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe event shown.")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else JSON.")


class Settings(Section):
    """All settings. Build it with `load`."""

    scan: Scan = Scan()
    cell: Cell = Cell()
    policy: PolicySettings = PolicySettings()
    kafka: Kafka = Kafka()
    topics: TopicSettings = TopicSettings()
    claims: Claims = Claims()
    worker: WorkerSettings = WorkerSettings()
    dashboard: DashboardSettings = DashboardSettings()
    oidc: OidcSettings = OidcSettings()
    ingest: IngestSettings = IngestSettings()
    replay: ReplaySettings = ReplaySettings()
    log: Log = Log()
    otel: OtelSettings = OtelSettings()
    audit: Audit = Audit()
    faces: Faces = Faces()
    provenance: ProvenanceSettings = ProvenanceSettings()
