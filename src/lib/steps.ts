/**
 * Long work as a generator that yields after each small part of it, so that whoever runs it may let other work have
 * its turn of the event loop in between, or may not.
 */

/** Yields between its parts; returns the result. */
export type Steps<T> = Generator<void, T>

/** All at once. */
export function runToEnd<T>(run: Steps<T>): T {
  for (;;) {
    const step = run.next()
    if (step.done === true) return step.value
  }
}

export interface SliceOptions {
  /** Lets other work run between slices. */
  readonly pause: () => Promise<void>
  /** How long a slice may last before the work pauses. */
  readonly sliceMsMax: number
  readonly monotonicMs: () => number
}

export async function runInSlices<T>(run: Steps<T>, options: SliceOptions): Promise<T> {
  const { pause, sliceMsMax, monotonicMs } = options
  let sliceStartMs = monotonicMs()
  for (;;) {
    const step = run.next()
    if (step.done === true) return step.value
    if (monotonicMs() - sliceStartMs <= sliceMsMax) continue
    await pause()
    sliceStartMs = monotonicMs()
  }
}

/** `flatMap` with a step after each item. */
export function* flatMapInSteps<T, R>(
  items: Iterable<T>,
  map: (item: T) => readonly R[],
): Steps<R[]> {
  const results: R[] = []
  for (const item of items) {
    results.push(...map(item))
    yield
  }
  return results
}
