/**
 * The control plane's own metrics in Prometheus text, under Istio's names where Istio has them. A handful of
 * series, counted rarely: a library would be larger than this file.
 */

/** Istio's buckets of pilot_proxy_convergence_time, with finer ones below: ours is faster. Seconds. */
const convergenceBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 5, 10, 20, 30]

type Labels = Readonly<Record<string, string>>

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Sample lines, without the family's name in front. */
  readonly samples: () => Iterable<readonly [suffix: string, labels: Labels, value: number]>
}

export class Counter {
  readonly #values = new Map<string, { readonly labels: Labels; value: number }>()

  add(labels: Labels = {}, by = 1): void {
    const key = JSON.stringify(labels)
    const known = this.#values.get(key)
    if (known === undefined) this.#values.set(key, { labels, value: by })
    else known.value += by
  }

  *samples(): Generator<readonly [string, Labels, number]> {
    for (const { labels, value } of this.#values.values()) yield ['', labels, value]
  }
}

export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.#sum += value
    this.#count += 1
    const at = this.#bounds.findIndex((bound) => value <= bound)
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  *samples(): Generator<readonly [string, Labels, number]> {
    let sum = 0
    for (const [at, bound] of this.#bounds.entries()) {
      sum += this.#counts[at] ?? 0
      yield ['_bucket', { le: String(bound) }, sum]
    }
    yield ['_bucket', { le: '+Inf' }, this.#count]
    yield ['_sum', {}, this.#sum]
    yield ['_count', {}, this.#count]
  }
}

export class ControlPlaneMetrics {
  readonly pushes = new Counter()
  readonly rejects = new Counter()
  readonly pushBytes = new Counter()
  readonly convergence = new Histogram(convergenceBuckets)
  readonly reconciles = new Counter()
  readonly #families = new Map<string, Family>()

  constructor() {
    this.#counter('pilot_xds_pushes', 'Responses sent, by type of resource.', this.pushes)
    this.#counter('pilot_total_xds_rejects', 'Responses that a proxy refused.', this.rejects)
    this.#counter('tulle_xds_sent_bytes', 'Bytes of responses before compression.', this.pushBytes)
    this.#counter('tulle_reconciles', 'Runs of the reconcile loop, by result.', this.reconciles)
    this.#families.set('pilot_proxy_convergence_time', {
      type: 'histogram',
      help: 'Seconds from a change until a proxy had acknowledged all that it caused.',
      samples: () => this.convergence.samples(),
    })
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    this.#families.set(name, { type: 'gauge', help, samples: () => [['', {}, read()]] })
  }

  /** A number that only grows and is counted elsewhere. */
  total(name: string, help: string, read: () => number): void {
    this.#families.set(name, { type: 'counter', help, samples: () => [['', {}, read()]] })
  }

  /** Counted by whoever holds it. */
  counter(name: string, help: string, counter: Counter): void {
    this.#counter(name, help, counter)
  }

  text(): string {
    const lines: string[] = []
    for (const [name, { type, help, samples }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
      for (const [suffix, labels, value] of samples()) {
        lines.push(`${name}${suffix}${labelText(labels)} ${value}`)
      }
    }
    return `${lines.join('\n')}\n`
  }

  #counter(name: string, help: string, counter: Counter): void {
    this.#families.set(name, { type: 'counter', help, samples: () => counter.samples() })
  }
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return ''
  const escaped = entries.map(([key, value]) => {
    const text = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    return `${key}="${text}"`
  })
  return `{${escaped.join(',')}}`
}
