"""A text for objectives that learn to predict characters: plain ASCII, lower case, 27 different characters."""

from __future__ import annotations

__all__ = ["TEXT"]

TEXT = """\
a ball that lies on a slope knows nothing of the valley. it feels the ground below it tilt, and it goes where the
ground tilts most. that is all that gradient descent does. at every step it asks for the slope at the place where it
stands, and walks a little way against it. if the steps are short it goes down slowly and surely. if they are long it
may leap over the bottom and climb the other side, and if they are longer still it will land higher than it began, and
higher again, until there are no numbers left to say how high. between the two lies the step that goes down fastest,
and it depends on the valley. a round bowl is easy, for the slope points at its lowest place. a narrow valley is hard.
the walls are steep and the floor is nearly flat, so the steps that are safe on the walls are far too short for the
floor, and the walker swings from wall to wall while it crawls along. a heavy ball does better. it keeps some of the
speed that it had, so that the swings cancel and the way along the floor adds up. one can look ahead and ask for the
slope at the place where the ball would be without any push, and turn before the wall is reached. one can also give
every direction a measure of its own, long where the slopes have been small and short where they have been large. this
helps where the axes are the right ones and does not where they are not. when the slope is not known but only guessed
from a few samples, each guess points a little away from the truth, and the walker ends up near the bottom, trembling.
the shorter the steps, the less it trembles, and the longer it takes to arrive. so people begin with long steps and
end with short ones. nobody has found a way of walking that is the best in every valley. those who say that theirs is
should be asked which valleys they have walked, how often they fell, and how long they looked for their shoes. a fair
race has one start, one goal and one clock. it tells what was measured and what was not. it counts the runs that got
lost among the rest. it can be run again by anybody, on another day and in another place, and it ends the same way.
"""
