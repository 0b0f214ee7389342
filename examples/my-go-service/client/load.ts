/**
 * A gentle load on the example service: RATE requests a second (20) to URL, and a line every five seconds
 * that says which versions answered. It knows no proxy: the environment that Tulle gives it sends its
 * requests through its sidecar.
 */
const url = process.env['URL'] ?? 'http://my-go-service:8080/'
const ratePerSecond = Number(process.env['RATE'] ?? '20')
const reportEveryMs = Number(process.env['REPORT_MS'] ?? '5000')

let counts = new Map<string, number>()

function count(key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

async function request(): Promise<void> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
    await response.text()
    if (response.ok) count(response.headers.get('x-version') ?? 'unknown version')
    else count(`status ${response.status}`)
  } catch (error) {
    count(error instanceof Error && error.name === 'TimeoutError' ? 'time-out' : 'no answer')
  }
}

function report(): void {
  const total = [...counts.values()].reduce((sum, value) => sum + value, 0)
  if (total > 0) {
    const parts = [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key} ${((100 * value) / total).toFixed(1)} %`)
    console.log(`${total} requests to ${url}: ${parts.join(', ')}`)
  }
  counts = new Map()
}

const requests = setInterval(() => void request(), 1_000 / ratePerSecond)
const reports = setInterval(report, reportEveryMs)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(requests)
    clearInterval(reports)
    report()
    process.exit(0)
  })
}
