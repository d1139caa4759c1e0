"""Checks what turns result lines into tables and pictures; needs no package. Run it as it is."""

import random
import unittest
import xml.dom.minidom

import chart
from goals import Goals
from results import Results


def results(*lines):
    made = Results("no such data set")
    made.lines = [{"peer": "a", "threads": 1, **line} for line in lines]
    return made


def point(recall, qps, parameter, **more):
    return {"recall10": recall, "qps": qps, "param": parameter, **more}


class ResultsTests(unittest.TestCase):
    def test_takes_the_median_of_the_rounds(self):
        found = results(point(0.9, 100, 10), point(0.9, 300, 10), point(0.9, 120, 10))
        self.assertEqual(found.at("a", 1, 0.9), 120)

    def test_interpolates_between_the_nearest_points(self):
        found = results(point(0.9, 1000, 10), point(1.0, 10, 20))
        self.assertAlmostEqual(found.at("a", 1, 0.95), 100)

    def test_says_none_where_no_point_reaches(self):
        found = results(point(0.9, 1000, 10))
        self.assertIsNone(found.at("a", 1, 0.95))
        self.assertIsNone(found.at("b", 1, 0.5))
        self.assertEqual(found.at("a", 1, 0.5), 1000)

    def test_the_frontier_has_no_point_that_another_beats(self):
        seed = random.randrange(1 << 32)
        source = random.Random(seed)
        lines = [point(source.randrange(20) / 20, source.randrange(1, 50), number) for number in range(40)]
        kept = [(p["recall10"], p["qps"]) for p in results(*lines).frontier("a", 1)]
        for line in lines:
            beats = [p for p in kept if p[0] >= line["recall10"] and p[1] >= line["qps"]]
            self.assertTrue(beats, f"seed {seed}: {line} is beyond the frontier {kept}")
        for one in kept:
            self.assertFalse(
                [p for p in kept if p != one and p[0] >= one[0] and p[1] >= one[1]],
                f"seed {seed}: {one}, {kept}",
            )

    def test_keeps_the_first_figure_of_an_index_that_is_not_nought(self):
        found = results({"count": 5, "build_s": 12.0}, {"count": 5, "build_s": 0.0, "rss_bytes": 7})
        self.assertEqual(found.about("a")["build_s"], 12.0)
        self.assertEqual(found.about("a")["rss_bytes"], 7)


class GoalsTests(unittest.TestCase):
    def test_a_goal_is_reached_at_its_value_and_left_out_without_a_figure(self):
        goals = Goals()
        goals.at_least("a", 2.0, 2.0)
        goals.at_least("b", 2.0, 1.9)
        goals.at_most("c", 2.0, 2.1)
        goals.at_most("d", 2.0, None)
        self.assertEqual([row[3] for row in goals.rows], ["yes", "**no**", "**no**"])

    def test_compares_with_the_best_peer_of_the_same_kind(self):
        found = results()
        for peer, qps, latency in [
            ("roost", 900, 10),
            ("roost ssd", 300, 40),
            ("slow", 100, 90),
            ("quick", 300, 50),
            ("diskannpy", 60, 100),
        ]:
            for threads in (1, 2):
                line = {"peer": peer, "threads": threads, "mean_us": latency}
                found.lines.append({**point(1.0, qps * threads, 10), **line})
        goals = Goals()
        goals.add_contest("d", found)
        measured = {row[0].removeprefix("d: "): row[2] for row in goals.rows}
        self.assertEqual(measured["in memory, 1 thread, recall 0.95, queries/s by the best peer's"], "3.00")
        self.assertEqual(measured["in memory, 2 threads by 1 thread, recall 0.95"], "2.00")
        self.assertEqual(measured["roost ssd, 2 threads, queries/s by the best diskannpy's"], "5.00")
        self.assertEqual(measured["roost ssd, mean latency by the best diskannpy's"], "0.40")


class ChartTests(unittest.TestCase):
    SERIES = {"roost": [(0.9, 5000), (0.99, 800)], "other <b>": [(0.85, 9000), (0.97, 300), (0.5, 1)]}

    def test_is_the_same_for_the_same_points_and_well_formed(self):
        first = chart.draw("T & t", "x", "y", self.SERIES, x_range=(0.8, 1.0))
        again = chart.draw("T & t", "x", "y", dict(reversed(self.SERIES.items())), x_range=(0.8, 1.0))
        self.assertEqual(first, again)
        xml.dom.minidom.parseString(first)
        self.assertLess(len(first), 10_000)

    def test_ticks_lie_inside_and_are_some(self):
        for low, high, is_log in [
            (0.8, 1, False),
            (0, 7, False),
            (-3, 120, False),
            (3, 90_000, True),
            (1e-4, 1, True),
        ]:
            scale = chart.Scale(low, high, (0, 100), is_log)
            ticks = scale.ticks()
            self.assertGreaterEqual(len(ticks), 3, (low, high))
            self.assertLessEqual(len(ticks), 16, (low, high))
            self.assertTrue(all(-0.01 <= scale.at(tick) <= 100.01 for tick in ticks), (low, high, ticks))


if __name__ == "__main__":
    unittest.main()
