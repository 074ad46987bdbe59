#!/bin/bash
# Inside the booted Debian: install the service, start it, kill it, upgrade it, take it away. What was seen goes to
# /srv/out/seen as `name=value` lines, which tests/systemd/test_boot.py judges; the log beside it is for people.
exec >/srv/out/log 2>&1
set -x
cd /
note() { echo "$1=$2" >>/srv/out/seen; }
of_unit() { systemctl show emomusic-edge --property "$1" --value; }
until_true() { for _ in $(seq 300); do if "$@"; then return 0; fi; sleep 0.1; done; return 1; }
listen() { mosquitto_sub --unix "$socket" -u emomusic -P secret "$@"; }
socket=/run/mosquitto/mosquitto.sock
settings=/etc/emomusic-edge/config.toml
drop_ins=/etc/systemd/system/emomusic-edge.service.d

# A broker on a unix socket that only it, root and the service may use.
mosquitto_passwd -c -b /etc/mosquitto/passwords emomusic secret
chown mosquitto /etc/mosquitto/passwords
cat >/etc/mosquitto/conf.d/local.conf <<TEXT
listener 0 $socket
password_file /etc/mosquitto/passwords
TEXT
mkdir -p /etc/systemd/system/mosquitto.service.d
cat >/etc/systemd/system/mosquitto.service.d/socket.conf <<TEXT
[Service]
ExecStartPost=+/usr/bin/chgrp emomusic-edge /run/mosquitto $socket
ExecStartPost=+/usr/bin/chmod 750 /run/mosquitto
ExecStartPost=+/usr/bin/chmod 660 $socket
TEXT

# First installation, from wheels alone.
mkdir /srv/all && ln -s /srv/wheels/* /srv/trial/wheels/* /srv/all/
python3 -m venv /srv/tool
/srv/tool/bin/pip install --quiet --no-index --find-links /srv/all emomusic-edge
edge=/srv/tool/bin/emomusic-edge
$edge service install --wheels /srv/all --private-network --no-starter --no-start </dev/null
note "unanswered" "$?"
note "unanswered_files" "$(ls /etc/systemd/system/emomusic-edge.service 2>/dev/null)"
$edge service install --wheels /srv/all --private-network --no-starter --no-start --i-have-read-the-privacy-page
note "install" "$?"
note "settings_mode" "$(stat -c '%a %U:%G' $settings)"
note "state_mode" "$(stat -c '%a %U:%G' /var/lib/emomusic-edge)"
note "groups" "$(id -nG emomusic-edge)"
$edge service status
note "status_before" "$?"

# What its owner does: settings, a password, a drop-in of their own; models and a clip instead of a camera.
sed -i "s|^\[mqtt\]\$|[mqtt]\nhost = \"$socket\"\nusername = \"emomusic\"\nnode = \"trial\"|" $settings
install -m 600 /dev/stdin /etc/emomusic-edge/mqtt-password <<<"secret"
cp -r /srv/trial/starter/. /var/lib/emomusic-edge/
cp /srv/trial/clip.mp4 /var/lib/emomusic-edge/
chown -R emomusic-edge: /var/lib/emomusic-edge
chmod -R u+rwX /var/lib/emomusic-edge
cat >$drop_ins/zz-mine.conf <<TEXT
[Service]
ExecStart=
ExecStart=/opt/emomusic-edge/venv/bin/emomusic-edge run --config $settings --source /var/lib/emomusic-edge/clip.mp4 --loop
TEXT
systemctl daemon-reload
systemctl restart mosquitto

# It starts and speaks, with no network.
systemctl start emomusic-edge
note "start" "$?"
if [ "$(of_unit ActiveState)" != active ]; then journalctl --no-pager -u emomusic-edge; exit 1; fi
$edge service status
note "status_running" "$?"
note "notify" "$(of_unit Type) $(of_unit NotifyAccess) $(of_unit WatchdogUSec)"
note "online" "$(listen -W 20 -C 1 -t emomusic/trial/availability)"
note "state" "$(listen -W 20 -C 1 -t emomusic/trial/state)"
first=$(of_unit MainPID)
note "modules" "$(systemctl show -p Wants --value emomusic-edge | tr ' ' '\n' | grep -c modprobe@)"
note "interfaces" "$(sed -n 's/^ *\([^ ]*\):.*/\1/p' "/proc/$first/net/dev" | xargs)"
note "core" "$(sed -n 's/^Max core file size *\([^ ]*\) .*/\1/p' "/proc/$first/limits")"
note "swap" "$(cat "/sys/fs/cgroup$(of_unit ControlGroup)/memory.swap.max" 2>/dev/null)"
note "swap_asked" "$(of_unit MemorySwapMax)"
# The families of the sockets that it has: each table of /proc/net that names one of its inodes.
inodes=$(find "/proc/$first/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n')
note "sockets" "$(grep -lwF "$inodes" /proc/"$first"/net/{unix,tcp,tcp6,udp,udp6,netlink} | xargs -n 1 basename | xargs)"
note "walls" "$(sed -n 's/^\(NoNewPrivs\|Seccomp\|CapEff\):\t//p' "/proc/$first/status" | xargs)"
nsenter --target "$first" --mount ls /home /etc/emomusic-edge/mqtt-password
nsenter --target "$first" --mount --setuid "$(id -u emomusic-edge)" --setgid "$(id -g emomusic-edge)" \
    sh -c 'for where in /etc /opt/emomusic-edge /home /usr /; do touch $where/x 2>/dev/null && echo $where; done' >/tmp/writable
note "writable" "$(xargs </tmp/writable)"

# Looked at as the service: its settings, its folders, and the broker's password, which root alone reads.
/opt/emomusic-edge/venv/bin/emomusic-edge service do doctor --json --only config,files,disk,models,music,broker >/tmp/doctor.json
cat /tmp/doctor.json
note "doctor" "$(python3 -c 'import json
for one in json.load(open("/tmp/doctor.json"))["findings"]:
    if one["level"] == "problem": print(one["subject"], one["name"], one["found"], end="; ")')"
note "doctor_login" "$(python3 -c 'import json
print(*(one["level"] for one in json.load(open("/tmp/doctor.json"))["findings"] if one["subject"] == "broker"))')"
note "doctor_left" "$(ls -d /run/emomusic-edge-* 2>/dev/null)"

# Killed, it returns.
kill -KILL "${first:?}"
returned() { [ "$(of_unit MainPID)" != "$first" ] && [ "$(of_unit ActiveState)" = active ]; }
until_true returned
note "returned" "$?"
note "restarts" "$(of_unit NRestarts)"
journalctl --sync
note "restarts_told" "$($edge service status | sed -n 's/^restarts *//p')"
# Ended as by a disk that fails under a mapped file, it returns too.
first=$(of_unit MainPID)
kill -BUS "${first:?}"
until_true returned
note "returned_from_bus" "$? $(of_unit NRestarts)"

# Stopped, it says goodbye.
systemctl stop emomusic-edge
note "stop" "$(of_unit Result) $(of_unit ActiveState) $(of_unit ExecMainStatus)"
note "offline" "$(listen -W 20 -C 1 -t emomusic/trial/availability)"

# The same line again: an upgrade. Settings stay, also a drop-in that is none of ours.
before=$(sha256sum $settings $drop_ins/zz-mine.conf)
echo "# mine" >>/etc/systemd/system/emomusic-edge.service
$edge service install --wheels /srv/all --no-starter
note "upgrade" "$?"
note "upgrade_kept" "$([ "$before" = "$(sha256sum $settings $drop_ins/zz-mine.conf)" ] && echo yes)"
note "upgrade_saved" "$(tail -n 1 /etc/systemd/system/emomusic-edge.service.saved)"
note "upgrade_running" "$(of_unit ActiveState)"
# Settings that the new version does not take: nothing is restarted.
running=$(of_unit MainPID)
echo "[nonsense]" >>$settings
$edge service install --wheels /srv/all --no-starter
note "upgrade_refused" "$?"
note "upgrade_went_on" "$([ "$running" = "$(of_unit MainPID)" ] && of_unit ActiveState)"
sed -i '$d' $settings
systemctl stop emomusic-edge

# A twin (exit 75) is not started again; what fails each time is given up.
answer_with() {
    printf '[Service]\nType=exec\nExecStart=\nExecStart=/bin/sh -c "exit %s"\nRestartSec=100ms\n' "$1" >$drop_ins/zzz-exit.conf
    systemctl daemon-reload
    systemctl reset-failed emomusic-edge
    systemctl start emomusic-edge
}
down() { [ "$(of_unit ActiveState)" = failed ]; }
answer_with 75
until_true down
note "twin" "$(of_unit ActiveState) $(of_unit NRestarts)"
note "twin_told" "$($edge service status | sed -n 's/^because *//p')"
answer_with 4
until_true down
note "gives_up" "$(of_unit ActiveState) $(of_unit NRestarts)"
note "gives_up_told" "$($edge service status | sed -n 's/^because *//p')"
# By hand systemd does not start it either, until it is told to forget: what the line `to do` says.
systemctl restart emomusic-edge
note "gives_up_by_hand" "$?"
rm $drop_ins/zzz-exit.conf
systemctl daemon-reload
systemctl reset-failed emomusic-edge
systemctl restart emomusic-edge
note "gives_up_forgotten" "$? $(of_unit ActiveState)"
systemctl stop emomusic-edge

# The rule's words are udev's. Words that are none would be seen.
wrong_rules() { udevadm test /sys/class/mem/null 2>&1 | grep -c '70-emomusic.*\(nvalid\|nknown\)'; }
note "rules_wrong" "$(wrong_rules)"
echo 'NOWORD=="video4linux", SYMLINK+="emomusic-camera"' >/etc/udev/rules.d/70-emomusic-broken.rules
note "rules_wrong_if_broken" "$(wrong_rules)"
rm /etc/udev/rules.d/70-emomusic-broken.rules

# Taken away.
$edge service uninstall
note "uninstall" "$?"
note "left" "$(cd / && ls -d etc/emomusic-edge/* etc/systemd/system/emomusic-edge* opt/emomusic-edge var/lib/emomusic-edge 2>/dev/null | xargs)"
$edge service status
note "status_after" "$?"
$edge service uninstall --purge --yes
note "purged" "$(ls -d /etc/emomusic-edge /var/lib/emomusic-edge /var/cache/emomusic-edge 2>/dev/null | xargs)$(id emomusic-edge 2>/dev/null)"
journalctl --no-pager -u emomusic-edge

# A user's own service, by a manager of their own, with an environment that stands somewhere else.
useradd --create-home --home-dir /srv/tester --groups video,audio tester
export XDG_RUNTIME_DIR=/run/user/$(id -u tester)
install -d -m 700 -o tester -g tester "$XDG_RUNTIME_DIR"
as_user() { runuser -u tester -- env HOME=/srv/tester "$@"; }
systemd-run --unit=tester-manager --uid=tester --property=Delegate=yes --property=PAMName= \
    --setenv=HOME=/srv/tester --setenv=XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" /lib/systemd/systemd --user
until_true test -e "$XDG_RUNTIME_DIR/systemd/private"
mkdir -p /srv/tester/.local/share/emomusic-edge
cp -r /srv/trial/starter/. /srv/tester/.local/share/emomusic-edge/
install -D -m 600 /dev/stdin /srv/tester/.config/emomusic-edge/config.toml <<TEXT
[camera]
source = "/dev/emomusic-camera"
TEXT
chown -R tester: /srv/tester
chmod -R u+rwX /srv/tester
as_user $edge service install --user --no-starter --i-have-read-the-privacy-page
note "user_install" "$?"
as_user $edge service status --user
note "user_status" "$?"
as_user systemctl --user --no-pager status emomusic-edge
note "user_enabled" "$(as_user systemctl --user is-enabled emomusic-edge) $(ls /srv/tester/.config/systemd/user/default.target.wants)"
as_user $edge service uninstall --user
note "user_uninstall" "$? $(ls -A /srv/tester/.config/systemd/user | grep -v default.target.wants | xargs)"
journalctl --no-pager -u tester-manager
note "done" yes
