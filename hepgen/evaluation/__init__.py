"""Judging generated events: scores beside their floors, controls, a report, and gates.

``run.evaluate`` compares two samples, ``write.write_report`` writes the page, ``gates.check_gates`` checks requirements.
"""
