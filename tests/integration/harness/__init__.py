# SPDX-License-Identifier: MIT
"""What the tests are written with; one module a noun."""
