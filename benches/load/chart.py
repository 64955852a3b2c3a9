"""A line chart as SVG, without a library."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 60, 20, 40, 45
COLOURS = ("#1f6feb", "#d1541f", "#2f9e55", "#8250df")


def svg(title, across, up, lines):
    """`lines` has the points (x, y) of each line by its name; y begins at 0."""
    points = [point for some in lines.values() for point in some] or [(1, 1)]
    far, high = max(x for x, _ in points) or 1, step(max(y for _, y in points)) * 5

    def place(x, y):
        return LEFT + x / far * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / high * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{across}</text>',
        f'<text x="{LEFT - 8}" y="{TOP - 8}" text-anchor="end">{up}</text>',
    ]
    for part in range(6):
        x, y = place(far * part / 5, high * part / 5)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{high * part / 5:g}</text>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{far * part / 5:.3g}</text>')
    for number, (name, some) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in some)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDTH - RIGHT - 90 * (len(lines) - number)}" y="20" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def step(most):
    """A fifth of an axis that reaches so far, and is a number that people like."""
    rough = most / 5 or 1
    size = 10 ** math.floor(math.log10(rough))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
