#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# devstack plugin of zsbm-ironic: what is done in which phase. How is in
# lib/zsbm-ironic.

# shellcheck source=devstack/lib/zsbm-ironic
source "$ZSBM_DIR/devstack/lib/zsbm-ironic"

case "$1/${2:-}" in
    stack/pre-install)
        echo_summary "Checking settings for zsbm-ironic"
        check_zsbm_settings
        stop_zsbm_rivals
        enable_zsbm_interfaces
        ;;
    stack/install)
        echo_summary "Installing zsbm-ironic"
        install_zsbm
        prepare_zsbm_ramdisk
        ;;
    stack/post-config)
        echo_summary "Configuring zsbm-ironic"
        configure_zsbm
        ;;
    stack/extra)
        echo_summary "Starting zsbm-netboot and machines"
        start_zsbm_machines
        start_zsbm_netboot
        enroll_zsbm_nodes
        ;;
    stack/test-config)
        configure_zsbm_tempest
        ;;
    unstack/*)
        stop_zsbm
        ;;
    clean/*)
        cleanup_zsbm
        ;;
esac
