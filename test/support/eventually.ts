/** Waits for a condition instead of sleeping: polls until it holds, fails with its last error at the deadline. */

export interface EventuallyOptions {
  readonly deadlineMs?: number
  readonly intervalMs?: number
}

/** Resolves with what `condition` returns as soon as it neither throws nor returns false or undefined. */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + (options.deadlineMs ?? 15_000)
  let lastError: unknown
  for (;;) {
    try {
      const result = await condition()
      if (result !== false && result !== undefined) return result as Exclude<T, false | undefined>
      lastError = new Error(`still ${String(result)}`)
    } catch (error) {
      lastError = error
    }
    if (performance.now() > deadline) {
      throw new Error(`condition not met in time: ${String(lastError)}`, { cause: lastError })
    }
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 10))
  }
}
