"""Read a waggle dance: from angle and duration to compass bearing and distance.

Angles are in degrees, clockwise. A dance angle of 0 points straight up the comb, which stands for
the direction of the sun.
"""

METRES_PER_SECOND_OF_WAGGLING = 1000.0


def food_bearing(sun_azimuth: float, dance_angle: float) -> float:
    """Compass bearing of the food in [0, 360): the sun's azimuth plus the angle of the dance."""
    return (sun_azimuth + dance_angle) % 360.0


def food_distance(waggle_seconds: float) -> float:
    """Distance of the food in metres, by the rule of thumb of one kilometre per second.

    Raises ValueError when the run lasts no time: that is a round dance, which gives no distance.
    """
    if waggle_seconds <= 0:
        raise ValueError("a waggle run must last longer than zero seconds")
    return waggle_seconds * METRES_PER_SECOND_OF_WAGGLING


def drifted_angle(dance_angle: float, hours: float, sun_degrees_per_hour: float = 15.0) -> float:
    """The dance angle for the same food some hours later, after the sun has moved clockwise."""
    return (dance_angle - hours * sun_degrees_per_hour) % 360.0
