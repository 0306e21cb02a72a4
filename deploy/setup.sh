#!/usr/bin/env bash
# Installs Scanner into .venv on a Debian-like machine with Python ≥ 3.11, with the system libraries it needs.
#   bash deploy/setup.sh           to use it
#   bash deploy/setup.sh test      to run its tests as well
#   bash deploy/setup.sh browser   to run those of the dashboard in a browser, too (pytest -m browser)
#   bash deploy/setup.sh live      to run those with real media servers, too (pytest -m live)
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

say() { printf '%s\n' "$*" >&2; }

install_packages() {
  [ $# -gt 0 ] || return 0
  local sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "setup: please install as root: apt-get install $*"; exit 3; }
    sudo=sudo
  fi
  command -v apt-get >/dev/null || { say "setup: this machine has no apt-get; please install: $*"; exit 3; }
  say "setup: installing $*"
  $sudo apt-get update -qq
  # RUNLEVEL: a package that brings a service does not start it.
  $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=()
lacks() { ! { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q "$1"; }
lacks libGL.so.1 && missing+=(libgl1) # OpenCV and mediapipe are linked against these four
lacks libglib-2.0.so.0 && missing+=(libglib2.0-0)
lacks libEGL.so.1 && missing+=(libegl1)
lacks libGLESv2.so.2 && missing+=(libgles2)
command -v "$python" >/dev/null || missing+=(python3)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ "$extra" != browser ] || command -v chromium >/dev/null || missing+=(chromium fonts-noto-cjk)
if [ "$extra" = live ]; then # nginx, a GStreamer RTSP server, networks that can be cut
  command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx-core)
  [ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || missing+=(libnginx-mod-rtmp)
  command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing+=(iproute2)
  /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null || missing+=(
    python3-gst-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,ugly}
  )
fi
if [ -n "$extra" ]; then # a real Apache Kafka is fetched with Maven and run with Java
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v mvn >/dev/null || missing+=(maven)
  command -v promtool >/dev/null || missing+=(prometheus) # judges deploy/prometheus and deploy/grafana; see RUNLEVEL
  command -v ffmpeg >/dev/null || missing+=(ffmpeg) # the other side of live streams
fi
install_packages "${missing[@]}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "setup: Python ≥ 3.11 is needed, $("$python" --version) was found; name another with PYTHON=…"
  exit 3
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
if [ -n "$extra" ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]"
else
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check .
fi
say "setup: done; try $venv/bin/scanner demo"
