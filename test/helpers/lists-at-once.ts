/**
 * Dynamic configuration of the tests' Temporal servers: lists show a change within 50 ms, as Temporal has it by default, in place of half a second. For
 * tests that ask them for what has just happened.
 */
export const LISTS_AT_ONCE = { 'history.visibilityProcessorMaxPollRPS': 20 };
