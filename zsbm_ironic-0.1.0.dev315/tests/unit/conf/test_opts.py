# SPDX-License-Identifier: Apache-2.0
"""Every option: bounded, explained, in the sample and in no other group."""

import importlib
import pathlib
import pkgutil
import sys

import fixtures
import testtools
from oslo_config import cfg, types

from zsbm_ironic import conf
from zsbm_ironic.common import process
from zsbm_ironic.conf import opts

TOP = pathlib.Path(__file__).resolve().parents[3]
NOT_GROUPS = {'opts'}


class OptionsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.options = [
            (group, option)
            for group, options in opts.list_opts()
            for option in options
        ]

    def test_every_module_of_conf_is_listed_and_registered(self) -> None:
        names = {
            module.name
            for module in pkgutil.iter_modules(conf.__path__)
            if module.name not in NOT_GROUPS
        }
        listed = {module.__name__.rsplit('.', 1)[1] for module in opts.MODULES}
        self.assertEqual(names, listed)
        for group, option in self.options:
            self.assertIn(option.dest, conf.CONF[group])

    def test_groups_are_ours(self) -> None:
        for module in opts.MODULES:
            name = importlib.import_module(module.__name__).GROUP.name
            self.assertTrue(name == 'zsbm' or name.startswith('zsbm_'), name)

    def test_every_option_is_explained(self) -> None:
        for group, option in self.options:
            name = f'[{group}]{option.name}'
            self.assertTrue(option.help and len(option.help) > 20, name)

    def test_every_number_has_both_bounds(self) -> None:
        for group, option in self.options:
            if isinstance(option.type, types.Number) and not isinstance(
                option, cfg.PortOpt
            ):
                name = f'[{group}]{option.name}'
                self.assertIsNotNone(option.type.min, name)
                self.assertIsNotNone(option.type.max, name)

    def test_names_of_times_and_sizes_have_a_unit(self) -> None:
        for group, option in self.options:
            for word in ('timeout', 'interval', 'spacing'):
                if word in option.name:
                    self.assertRegex(
                        option.name, r'_(s|ms)$', f'[{group}]{option.name}'
                    )

    def test_credentials_are_secret(self) -> None:
        for group, option in self.options:
            if any(
                word in option.name for word in ('password', 'secret', 'token')
            ):
                self.assertTrue(option.secret, f'[{group}]{option.name}')

    def test_sample_shows_every_option(self) -> None:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        process.run(
            [
                *(
                    pathlib.Path(sys.executable).with_name(
                        'oslo-config-generator'
                    ),
                ),
                *('--config-file', TOP / 'tools/config-generator.conf'),
                *('--output-file', folder / 'sample'),
            ],
            timeout_s=120,
            cwd=TOP,
        )
        sample = (folder / 'sample').read_text()
        for group, option in self.options:
            self.assertIn(f'[{group}]', sample)
            self.assertRegex(sample, rf'(?m)^#{option.dest} = ?')
