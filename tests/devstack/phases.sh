#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# phases.sh TOP_DIR stack|unstack|clean
# What this script of devstack does around the phases of plugins, with
# devstack's own functions and libraries, and nothing between the phases.
#
# phases.sh TOP_DIR try COMMANDS...
# The same until pre-install; then each of the commands in a shell of its own.

TOP_DIR=$1
mode=$2
shift 2
cd "$TOP_DIR" || exit
FILES=$TOP_DIR/files

# shellcheck disable=SC1091
source functions
# shellcheck disable=SC1091
source lib/stack

function echo_summary {
    echo "$@"
}

function source_libraries {
    local name
    for name in apache tls infra libraries lvm horizon keystone glance nova \
            placement cinder swift neutron ldap dstat atop tcpdump etcd3 \
            os-vif; do
        # shellcheck disable=SC1090
        source "lib/$name"
    done
}

function until_pre_install {
    set -o errexit
    rm -f .localrc.auto
    extract_localrc_section local.conf localrc .localrc.auto
    # shellcheck disable=SC1091
    source stackrc
    sudo mkdir -p "$DATA_DIR"
    safe_chown -R "$STACK_USER" "$DATA_DIR"
    async_init
    LOCAL_HOSTNAME=$(hostname -s)
    install_python
    SSL_BUNDLE_FILE=$DATA_DIR/ca-bundle.pem
    # shellcheck disable=SC1091
    source lib/database
    # shellcheck disable=SC1091
    source lib/rpc_backend
    fetch_plugins
    run_phase override_defaults
    source_libraries
    run_phase source
    initialize_database_backends
    define_database_baseurl
    save_stackenv $LINENO
    # shellcheck disable=SC2046  # names of packages
    install_package $(_get_plugin_bindep_packages)
    run_phase stack pre-install
}

function stack {
    until_pre_install
    run_phase stack install
    run_phase stack post-config
    merge_config_group "$TOP_DIR/local.conf" post-config
    save_stackenv
    merge_config_group "$TOP_DIR/local.conf" extra
    # That of ironic wants a database and an API that run.
    DEVSTACK_PLUGINS=zsbm-ironic
    run_phase stack extra
    merge_config_group "$TOP_DIR/local.conf" post-extra
    run_phase stack test-config
    merge_config_group "$TOP_DIR/local.conf" test-config
    echo "phases went through: stack"
}

function unstack {
    # shellcheck disable=SC1091
    source lib/database
    # shellcheck disable=SC1091
    source openrc
    DATA_DIR=${DATA_DIR:-$DEST/data}
    run_phase override_defaults
    source_libraries
    load_plugin_settings
    run_phase unstack
    echo "phases went through: unstack"
}

function clean {
    # shellcheck disable=SC1091
    source openrc
    # shellcheck disable=SC1091
    source .stackenv
    source_libraries
    # shellcheck disable=SC1091
    source lib/database
    # shellcheck disable=SC1091
    source lib/rpc_backend
    load_plugin_settings
    run_phase clean
    rm -f .localrc.auto .stackenv
    echo "phases went through: clean"
}

function try {
    local commands
    until_pre_install
    for commands in "$@"; do
        echo "== $commands"
        (set +o xtrace; eval "$commands") 2>&1 || true
    done
}

GetDistro
"$mode" "$@"
