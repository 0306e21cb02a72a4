"""C2PA manifests (Content Credentials) of files, by c2pa-python (extra `c2pa`), met in a confined process alone.

file ──is there a manifest?──no──▶ None                                       a walk over boxes, in this process
                           └─yes─▶ process without network, files, rights ──JSON──▶ Manifest
                                   └ crashed, hung, took too much ──▶ Manifest(state=unreadable), and nothing else lost
"""

from scanner.credentials.reading import WAIT_S, available, lifting, read_manifest

__all__ = ["WAIT_S", "available", "lifting", "read_manifest"]
