# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a tracker is right, judged by the ranges alone; what to do where it is not.

Fault detection and exclusion, as for satellites, and more than one hypothesis where geometry cannot
tell. `watch` puts a tracker under all of it: to be read first. Then, in the order of a turn:

times         whose stamps are believed; which ranges are of now, late, or known already
gate          the innovation gate: spikes and anchors at fault are held back
window        the raw ranges of the last seconds, whatever the tracker made of them
track         where the tracker said that the tag was, held against the window: its cost
snapshot      places that explain a window, robustly and without any filter's state
first_fix     a track's beginning, from a snapshot
alternatives  places that explain the window better than the track does
overruling    whether one is so much better, for so long, that the track begins anew from it
naming        which anchors are at fault: short, long or drifting ones; whose fault is over
lasting       whose ranges all are long since when, and who repeats the last one
doubt         what goes unexplained or undecided: it widens the covariance
mirror        anchors on a line or plane, which cannot tell one side from the other
twin          the second of two places that explain the ranges alike, tracked beside the first
silence       nothing heard for long: coasting, then lost
availability  too few anchors heard for long: the same
status        what is said of all this
"""
