/**
 * Time as an argument: the wall clock, the monotonic clock and timers behind one small interface.
 *
 * Everything below the composition roots takes a `Clock`, so that back-off, ejection and grace periods
 * are tested in microseconds with `FakeClock` (test/support) and never flake.
 */

/** A timer that has been set; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's clock is set. */
  nowMs(): number
  /** Milliseconds on a clock that never goes back, with a fraction; only differences mean something. */
  monotonicMs(): number
  /** Runs `run` once, `delayMs` from now at the earliest. A pending timer does not keep the process alive. */
  setTimer(delayMs: number, run: () => void): Timer
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, run) {
    // Node fires at once what is longer than a signed 32-bit number of milliseconds.
    const timer = setTimeout(run, Math.min(delayMs, 2_147_483_647))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
