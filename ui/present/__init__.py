"""What each view shows, from the published state alone: text, tone, enabled. No Qt, no clock, no file.

Law: everything here is a function of its arguments, so that every sentence a trader may read can be tested
without a screen. Widgets place what they are given and decide nothing.
"""
