/** Chance as an argument: a source of uniform draws, so that splits and jitter can be tested exactly. */

/** Returns a number from 0 (included) to 1 (excluded), uniformly. */
export type Random = () => number

export const systemRandom: Random = Math.random

/** A repeatable source (mulberry32) for tests and for replaying a failing seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
