# shellcheck shell=sh disable=SC2154
# Run once by cloud-init in the system of a server, as root, with these set:
#
#   zsbm_port      where prometheus-node-exporter listens
#   zsbm_push_url  where its figures are pushed; empty: it is scraped
#   zsbm_token     the secret of the pushes
#   zsbm_ca        certificates to check zsbm_push_url by; empty: the system's
#   zsbm_root      before the paths of files, for tests
#
# Leaves two files of systemd for the exporter, and what pushes where that is
# asked for. What cannot be installed is said in the log of cloud-init.

set -eu
umask 077

units="${zsbm_root}/etc/systemd/system"
folder="${zsbm_root}/etc/zsbm-push"

say() {
    echo "zsbm-ironic: $*" >&2
}

# Names of the package, and of its unit, in the order of how common they are.
exporter_binary() {
    command -v prometheus-node-exporter || command -v node_exporter ||
        command -v prometheus-node_exporter
}

exporter_unit() {
    for unit in prometheus-node-exporter node_exporter \
        prometheus-node_exporter node-exporter; do
        if systemctl cat "$unit.service" > /dev/null 2>&1; then
            echo "$unit"
            return 0
        fi
    done
    return 1
}

# $1: unit, $2: program.
tell_where_to_listen() {
    address=":$zsbm_port"
    if [ -n "$zsbm_push_url" ]; then
        address="127.0.0.1:$zsbm_port"
    fi
    mkdir -p "$units/$1.service.d"
    cat > "$units/$1.service.d/zsbm.conf" << END
[Service]
ExecStart=
ExecStart=$2 --web.listen-address=$address \$ARGS
END
    chmod -R go+rX "$units/$1.service.d"
}

install_packages() {
    if command -v apt-get > /dev/null; then
        # Debian starts what it installs at once, on all addresses.
        tell_where_to_listen prometheus-node-exporter \
            /usr/bin/prometheus-node-exporter
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q update || say 'apt-get update failed: trying without'
        apt-get -qy -o DPkg::Lock::Timeout=300 install \
            --no-install-recommends prometheus-node-exporter curl
        # SMART of drives; not everywhere, and less than needed.
        apt-get -qy -o DPkg::Lock::Timeout=300 install \
            --no-install-recommends prometheus-node-exporter-collectors \
            smartmontools || say 'no collectors: no SMART of drives'
    elif command -v dnf > /dev/null; then
        dnf -qy install golang-github-prometheus-node-exporter curl ||
            dnf -qy install node-exporter curl
    elif command -v zypper > /dev/null; then
        zypper -qn install golang-github-prometheus-node_exporter curl
    else
        say 'no apt-get, dnf or zypper: install prometheus-node-exporter'
        return 1
    fi
}

have_exporter() {
    # Packages leave files that others than root read.
    exporter_binary > /dev/null || (umask 022 && install_packages)
    binary=$(exporter_binary)
    unit=$(exporter_unit)
    tell_where_to_listen "$unit" "$binary"
}

have_push() {
    mkdir -p "$folder"
    # Read by curl, so that the token is in no list of processes.
    cat > "$folder/curl.conf" << END
url = "$zsbm_push_url"
header = "Authorization: Bearer $zsbm_token"
header = "Content-Type: text/plain"
header = "Expect:"
data-binary = "@-"
proto = "=https"
max-time = 15
fail
silent
show-error
END
    if [ -n "$zsbm_ca" ]; then
        printf '%s\n' "$zsbm_ca" > "$folder/ca.pem"
        echo "cacert = \"$folder/ca.pem\"" >> "$folder/curl.conf"
    fi
    cat > "$folder/push" << END
#!/bin/sh
set -eu
figures=\$(mktemp)
trap 'rm -f "\$figures"' EXIT
curl -fsS --max-time 10 -o "\$figures" http://127.0.0.1:$zsbm_port/metrics
curl --config "$folder/curl.conf" < "\$figures"
END
    chmod 0700 "$folder/push"
    cat > "$units/zsbm-push.service" << END
[Unit]
Description=Push figures of this system to its watch
After=network-online.target $unit.service
[Service]
Type=oneshot
ExecStart=$folder/push
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
END
    cat > "$units/zsbm-push.timer" << END
[Unit]
Description=Push figures of this system to its watch
[Timer]
OnActiveSec=1
OnUnitActiveSec=20
AccuracySec=1
[Install]
WantedBy=timers.target
END
    chmod 0644 "$units/zsbm-push.service" "$units/zsbm-push.timer"
}

have_exporter
if [ -n "$zsbm_push_url" ]; then
    have_push
fi
systemctl daemon-reload
systemctl enable "$unit.service"
systemctl restart "$unit.service"
if [ -n "$zsbm_push_url" ]; then
    systemctl enable --now zsbm-push.timer
fi
