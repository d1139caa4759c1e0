"""Line charts as small SVG files: the same points give the same bytes."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 440, 74, 44, 236, 52
OURS = ["#c1121f", "#f4722b", "#8f2d56"]
OTHERS = [
    "#1f6feb",
    "#2a9d8f",
    "#7b2cbf",
    "#6c757d",
    "#0b7285",
    "#a07900",
    "#3a5a40",
    "#5c4d7d",
    "#264653",
    "#457b9d",
]


class Scale:
    def __init__(self, low, high, pixels, is_log):
        self.low, self.high, self.pixels, self.is_log = low, high, pixels, is_log

    def at(self, value):
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        first, last = self.pixels
        return first + (last - first) * (value - low) / (high - low)

    def ticks(self):
        if not self.is_log:
            power = 10 ** math.floor(math.log10((self.high - self.low) / 8))
            step = next(
                factor * power for factor in (1, 2, 5, 10) if (self.high - self.low) / (factor * power) <= 8
            )
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            return [round(index * step, 10) for index in range(first, last + 1)]
        wanted = [1, 2, 5] if self.high / self.low < 2000 else [1]
        return [
            factor * 10.0**power
            for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for factor in wanted
            if self.low <= factor * 10.0**power <= self.high
        ]


def label(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}"


def bounds(values, is_log):
    low, high = min(values), max(values)
    if is_log:
        return low / 1.2, high * 1.2
    return low, high if high > low else low + 1


def colours(series):
    """Ours stand out; the others keep their colour as long as their names sort alike."""
    ours = sorted(name for name in series if name.startswith("roost"))
    others = sorted(name for name in series if not name.startswith("roost"))
    return {
        **{name: OURS[index % len(OURS)] for index, name in enumerate(ours)},
        **{name: OTHERS[index % len(OTHERS)] for index, name in enumerate(others)},
    }


def draw(title, x_title, y_title, series, x_range=None, y_range=None, x_log=False, y_log=True):
    """The text of an SVG; `series` is {name: [(x, y)]}, drawn in the order of x."""
    points = [point for line in series.values() for point in line]
    if x_range:
        points = [point for point in points if x_range[0] <= point[0] <= x_range[1]]
    x_low, x_high = x_range or bounds([x for x, _ in points], x_log)
    y_low, y_high = y_range or bounds([y for _, y in points], y_log)
    x_scale = Scale(x_low, x_high, (LEFT, WIDTH - RIGHT), x_log)
    y_scale = Scale(y_low, y_high, (HEIGHT - BOTTOM, TOP), y_log)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in x_scale.ticks():
        x = x_scale.at(tick)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{label(tick)}</text>')
    for tick in y_scale.ticks():
        y = y_scale.at(tick)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{label(tick)}</text>')
    out.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_title)}</text>')
    out.append(
        f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    out.append(
        f'<clipPath id="c"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath><g clip-path="url(#c)" fill="none">'
    )
    colour = colours(series)
    for name, line in sorted(series.items(), key=lambda item: item[0].startswith("roost")):
        placed = [(x_scale.at(x), y_scale.at(y)) for x, y in sorted(line) if y > 0 or not y_log]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        width = 3 if name.startswith("roost") else 1.6
        out.append(f'<path d="M{path}" stroke="{colour[name]}" stroke-width="{width}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width}" fill="{colour[name]}"/>' for x, y in placed]
    out.append("</g>")
    for index, name in enumerate(sorted(series, key=lambda name: (not name.startswith("roost"), name))):
        y = TOP + 12 + 20 * index
        x = WIDTH - RIGHT + 16
        out.append(f'<path d="M{x} {y}h22" stroke="{colour[name]}" stroke-width="3"/>')
        out.append(f'<text x="{x + 29}" y="{y + 4}">{escape(name)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
