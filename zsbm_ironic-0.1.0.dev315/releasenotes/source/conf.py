# SPDX-License-Identifier: Apache-2.0
"""Configuration of the release notes build."""

project = 'zsbm-ironic Release Notes'
copyright = 'zsbm-ironic developers'
extensions = ['openstackdocstheme', 'reno.sphinxext']
master_doc = 'index'
html_theme = 'openstackdocs'
pygments_style = 'native'

openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = 'zsbm-ironic'
openstackdocs_use_storyboard = False
