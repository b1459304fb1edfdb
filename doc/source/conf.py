# SPDX-License-Identifier: Apache-2.0
"""Configuration of the documentation build; -W, so every warning fails."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / '_ext'))
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

project = 'zsbm-ironic'
copyright = 'zsbm-ironic developers'
extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxext',
    'sphinx.ext.graphviz',
    'zsbm_benchmarks',
    'zsbm_images',
    'zsbm_reference',
    'zsbm_tempest',
]
master_doc = 'index'
exclude_patterns = ['_ext', '_templates']
# The licence of the theme's footer is not ours.
templates_path = ['_templates']
html_theme = 'openstackdocs'
pygments_style = 'native'
# Shell sessions with line breaks inside quotes are no fault.
suppress_warnings = ['misc.highlighting_failure']
graphviz_output_format = 'svg'

# The theme would ask git for tags and remotes, which a checkout may lack.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = 'zsbm-ironic'
openstackdocs_use_storyboard = False
