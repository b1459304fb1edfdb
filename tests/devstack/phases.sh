#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# phases.sh TOP_DIR stack|unstack|clean
# What this script of devstack does around the phases of plugins, with
# devstack's own functions and libraries, and nothing between the phases.
#
# phases.sh TOP_DIR stack COMMANDS
# COMMANDS in place of what the plugin of ironic does in phase extra.
#
# phases.sh TOP_DIR try COMMANDS...
# The same until pre-install; then each of the commands in a shell of its own.

# shellcheck disable=SC1090,SC1091,SC2034  # files and variables of devstack

TOP_DIR=$1
mode=$2
shift 2
cd "$TOP_DIR" || exit
FILES=$TOP_DIR/files

source functions
source lib/stack

function echo_summary {
    echo "$@"
}

function source_libraries {
    local name
    for name in apache tls infra libraries lvm horizon keystone glance nova \
            placement cinder swift neutron ldap dstat atop tcpdump etcd3 \
            os-vif; do
        source "lib/$name"
    done
}

function until_pre_install {
    set -o errexit
    rm -f .localrc.auto
    extract_localrc_section local.conf localrc .localrc.auto
    source stackrc
    sudo mkdir -p "$DATA_DIR"
    safe_chown -R "$STACK_USER" "$DATA_DIR"
    async_init
    LOCAL_HOSTNAME=$(hostname -s)
    install_python
    SSL_BUNDLE_FILE=$DATA_DIR/ca-bundle.pem
    source lib/database
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
    # The plugin of ironic wants a database and Apache that run.
    eval "${1:-}"
    DEVSTACK_PLUGINS=zsbm-ironic
    run_phase stack extra
    merge_config_group "$TOP_DIR/local.conf" post-extra
    run_phase stack test-config
    merge_config_group "$TOP_DIR/local.conf" test-config
    echo "phases went through: stack"
}

function unstack {
    source lib/database
    source openrc
    DATA_DIR=${DATA_DIR:-$DEST/data}
    run_phase override_defaults
    source_libraries
    load_plugin_settings
    run_phase unstack
    echo "phases went through: unstack"
}

function clean {
    source openrc
    source .stackenv
    source_libraries
    source lib/database
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
