# SPDX-License-Identifier: Apache-2.0
"""Chromium inside the lab, driven as a person does: `Browser`.

To be used in the network namespace of the lab, from one thread (see
`network.call`). Screenshots go where figures go, if anywhere.
"""

import os
import pathlib

import fixtures
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as has
from selenium.webdriver.support import wait

DRIVER = '/usr/bin/chromedriver'
# AngularJS fetches, and a page of Horizon is compiled when it is asked for.
WAIT_S = 120
WORDS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-dev-shm-usage',
    '--disable-gpu',
    '--disable-quic',
    '--disable-sync',
    '--no-first-run',
    '--window-size=1400,900',
)


class Browser(fixtures.Fixture):
    """A window of its own, with nothing remembered."""

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        options = webdriver.ChromeOptions()
        for word in (*WORDS, f'--user-data-dir={folder}'):
            options.add_argument(word)
        self.window = webdriver.Chrome(
            options, webdriver.ChromeService(DRIVER)
        )
        self.addCleanup(self.window.quit)
        self._wait = wait.WebDriverWait(self.window, WAIT_S)

    def open(self, url):
        self.window.get(url)

    def log_in(self, url, user, password):
        """Log in to Horizon."""
        self.open(f'{url}/auth/login/')
        for field, text in (('username', user), ('password', password)):
            self._one(By.ID, f'id_{field}').send_keys(text)
        self._one(By.ID, 'loginBtn').click()
        self._wait.until(has.presence_of_element_located((By.ID, 'sidebar')))

    def see(self, text):
        """Wait until a text is on the page."""
        self._wait.until(
            has.text_to_be_present_in_element((By.TAG_NAME, 'body'), text)
        )

    def text(self):
        return self._one(By.TAG_NAME, 'body').text

    def in_row(self, text, label):
        """Choose from the menu of the row that has a text."""
        row = f'//tr[contains(., "{text}")]'
        self._one(
            By.XPATH, f'{row}//button[contains(@class, "dropdown-toggle")]'
        ).click()
        self._one(By.XPATH, f'{row}//a[normalize-space(.)="{label}"]').click()

    def press(self, label):
        """Press the button of a dialogue."""
        self._one(
            By.XPATH,
            '//div[contains(@class, "modal-footer")]'
            f'//button[normalize-space(.)="{label}"]',
        ).click()

    def cell(self, text, column):
        """Return a cell of the row that has a text; the first is 1."""
        return self._one(
            By.XPATH, f'//tr[contains(., "{text}")]/td[{column}]'
        ).text

    def keep(self, name):
        """Keep what is seen, for the docs."""
        folder = os.environ.get('ZSBM_FIGURES')
        if folder:
            self.window.save_screenshot(
                str(pathlib.Path(folder, f'{name}.png'))
            )

    def _one(self, by, what):
        return self._wait.until(has.element_to_be_clickable((by, what)))
