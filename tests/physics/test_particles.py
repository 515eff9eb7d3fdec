import numpy as np

from hepgen.physics.particles import known_codes, particle_mass


def test_signs_do_not_matter_and_unknown_codes_have_no_mass() -> None:
    masses = particle_mass(np.array([[211, -211], [22, 424242]]))
    assert masses.shape == (2, 2)
    assert masses[0, 0] == masses[0, 1] > 0.139
    assert masses[1, 0] == 0.0
    assert np.isnan(masses[1, 1])
    assert all(np.isfinite(particle_mass(code)) for code in known_codes())
