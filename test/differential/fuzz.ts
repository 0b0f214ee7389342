/**
 * `npm run fuzz`: cases from seeds until the time is over. Each case is a message of the corpus, spoilt; what must hold is in
 * invariant.ts. A seed that fails is kept, with the bytes that it made, and is tried first the next time.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { Fuzzer, subjects, type FuzzFailure } from './fuzz-run.ts'

const help = `Usage: npm run fuzz -- [options]

Sends spoilt messages through the proxy, in both directions and both versions of HTTP, and has what it forwards read by
Node, Go, Python and nginx: nobody may read other messages than the proxy did. HPACK blocks are read by Node too.

Options:
  --time TIME      how long, as 30s, 5m or 1h (default 60s)
  --seed N         the first seed (default: drawn); the same seed makes the same case
  --count N        end after so many cases, whatever the time
  --failures PATH  where failing seeds are kept (default build/fuzz-failures)
  --help           this

Exit codes: 0 nothing found, 1 something was found, 2 wrong use.
`

interface Options {
  readonly timeMs: number
  readonly seed: number
  readonly count: number
  readonly folder: string
}

const seedMax = 2 ** 31

function readOptions(args: readonly string[]): Options | 'help' | { readonly wrong: string } {
  const options = {
    time: { type: 'string', default: '60s' },
    seed: { type: 'string' },
    count: { type: 'string' },
    failures: { type: 'string' },
    help: { type: 'boolean', default: false },
  } as const
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true })
    if (values.help) return 'help'
    const timeMs = milliseconds(values.time)
    if (timeMs === undefined) return { wrong: `--time takes 30s, 5m or 1h, not ${values.time}` }
    const seed = wholeNumber(values.seed ?? String(Math.floor(Math.random() * seedMax)))
    if (seed === undefined) return { wrong: `--seed takes a number, not ${values.seed}` }
    const count = values.count === undefined ? Infinity : wholeNumber(values.count)
    if (count === undefined) return { wrong: `--count takes a number, not ${values.count}` }
    const folder =
      values.failures ?? fileURLToPath(new URL('../../build/fuzz-failures', import.meta.url))
    return { timeMs, seed, count, folder }
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) }
  }
}

function milliseconds(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text)
  if (match === null) return undefined
  const units = { s: 1_000, m: 60_000, h: 3_600_000 } as const
  return Number(match[1]) * units[match[2] as keyof typeof units] // the pattern allows no other
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

/** Seeds that failed before, oldest first. */
function keptSeeds(folder: string): readonly number[] {
  return readdirSync(folder)
    .filter((name) => /^seed-\d+\.json$/.test(name))
    .map((name) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as FuzzFailure).seed)
}

function keep(folder: string, failure: FuzzFailure): string {
  const file = join(folder, `seed-${failure.seed}.json`)
  writeFileSync(file, `${JSON.stringify(failure, undefined, 2)}\n`)
  return file
}

class Run {
  readonly #options: Options
  readonly #fuzzer: Fuzzer
  readonly #startMs = performance.now()
  #saidMs = 0
  cases = 0
  failures = 0
  isStopped = false

  constructor(options: Options, fuzzer: Fuzzer) {
    this.#options = options
    this.#fuzzer = fuzzer
  }

  async all(): Promise<void> {
    const { folder, seed, count } = this.#options
    for (const kept of keptSeeds(folder)) {
      say(`seed ${kept}, which failed before`)
      if (!(await this.#one(kept))) continue
      rmSync(join(folder, `seed-${kept}.json`))
      say(`seed ${kept} holds now`)
    }
    for (let next = seed; this.#mayGoOn() && next < seed + count; next += 1) await this.#one(next)
  }

  #mayGoOn(): boolean {
    const elapsedMs = performance.now() - this.#startMs
    if (elapsedMs - this.#saidMs > 2_000) {
      this.#saidMs = elapsedMs
      const perSecond = Math.round((this.cases / elapsedMs) * 1_000)
      say(
        `${Math.round(elapsedMs / 1_000)} s, ${this.cases} cases (${perSecond}/s), ${this.failures} failures`,
      )
    }
    return !this.isStopped && elapsedMs < this.#options.timeMs
  }

  async #one(seed: number): Promise<boolean> {
    this.cases += 1
    const failure = await this.#fuzzer.run(seed)
    if (failure === undefined) return true
    this.failures += 1
    const file = relative(process.cwd(), keep(this.#options.folder, failure))
    say(`seed ${seed} (${failure.subject}) fails, kept in ${file}:`)
    for (const problem of failure.problems) say(`  ${problem}`)
    return false
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(help)
    return 0
  }
  if ('wrong' in options) {
    say(`fuzz: ${options.wrong}\n`)
    say(help)
    return 2
  }
  mkdirSync(options.folder, { recursive: true })
  await using fuzzer = await Fuzzer.open()
  say(`from seed ${options.seed}: ${subjects.join(', ')}`)
  say(`read by Node, ${fuzzer.readers.present.map(({ name }) => name).join(', ')}`)
  for (const reason of fuzzer.readers.absent) say(`not read by ${reason}`)
  const run = new Run(options, fuzzer)
  process.once('SIGINT', () => (run.isStopped = true))
  process.once('SIGTERM', () => (run.isStopped = true))
  await run.all()
  say(`${run.cases} cases, ${run.failures} failures`)
  return run.failures === 0 ? 0 : 1
}

process.exitCode = await main()
