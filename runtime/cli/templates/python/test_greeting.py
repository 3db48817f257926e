import unittest

from greeting import greeting


class Greeting(unittest.TestCase):
    def test_a_name_is_greeted(self) -> None:
        self.assertEqual(greeting(" Ada "), "Hello, Ada!")
