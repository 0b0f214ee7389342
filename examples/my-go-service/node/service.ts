/**
 * The example service, in Node without dependencies: the twin of ../go/main.go, for machines without a Go
 * toolchain. The same environment, paths, answers and messages; a shared test runs one table against both.
 *
 *   PORT         port to listen on (required)
 *   HOST         address to listen on (127.0.0.1)
 *   VERSION      told in each answer (v1)
 *   INSTANCE     told in each answer (the process id)
 *   FAIL_RATE    share of requests that fail, 0 to 1 (0)
 *   FAIL_STATUS  status of a failing request, 400 to 599 (503)
 *   DELAY_MS     time before each answer, 0 to 60000 (0)
 *
 * The last three can be changed while it runs: POST /admin/behaviour?failRate=1&failStatus=500&delayMs=20
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const serviceName = 'my-go-service'

/** What can be changed at run time. */
interface Behaviour {
  readonly failRate: number
  readonly failStatus: number
  readonly delayMs: number
}

interface Range {
  readonly low: number
  readonly high: number
}

/** Looks a setting up by name; empty or undefined = not given. */
type Settings = (name: string) => string | null | undefined

function parseNumber(name: string, text: string, { low, high }: Range): number {
  const value = Number(text)
  if (!/^[0-9]+(\.[0-9]+)?$/.test(text) || value < low || value > high) {
    throw new Error(
      `${name}: expected a number from ${low} to ${high}, got ${JSON.stringify(text)}`,
    )
  }
  return value
}

function parseWholeNumber(name: string, text: string, range: Range): number {
  const value = parseNumber(name, text, range)
  if (!Number.isInteger(value)) {
    throw new Error(`${name}: expected a whole number, got ${JSON.stringify(text)}`)
  }
  return value
}

/** The behaviour with the named settings changed; throws what is wrong with them. */
function withChanges(
  current: Behaviour,
  settings: Settings,
  names: readonly [string, string, string],
): Behaviour {
  const [rateName, statusName, delayName] = names
  const rate = settings(rateName)
  const status = settings(statusName)
  const delay = settings(delayName)
  return {
    failRate: rate ? parseNumber(rateName, rate, { low: 0, high: 1 }) : current.failRate,
    failStatus: status
      ? parseWholeNumber(statusName, status, { low: 400, high: 599 })
      : current.failStatus,
    delayMs: delay ? parseWholeNumber(delayName, delay, { low: 0, high: 60000 }) : current.delayMs,
  }
}

function writeJson(response: ServerResponse, status: number, body: unknown): void {
  const encoded = Buffer.from(`${JSON.stringify(body)}\n`)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': encoded.length,
  })
  response.end(encoded)
}

/** Header names in order, as Go's encoder writes a map. */
function headersOf(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of Object.keys(request.headersDistinct).sort()) {
    headers[name] = (request.headersDistinct[name] ?? []).join(', ')
  }
  return headers
}

class Service {
  readonly #version: string
  readonly #instance: string
  #current: Behaviour

  constructor(version: string, instance: string, start: Behaviour) {
    this.#version = version
    this.#instance = instance
    this.#current = start
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    // The body is read to its end, so that the connection can serve the next request.
    request.resume()
    request.once('end', () => {
      const url = new URL(request.url ?? '/', 'http://service')
      if (url.pathname === '/healthz') writeJson(response, 200, { status: 'ok' })
      else if (url.pathname === '/admin/behaviour') this.#serveBehaviour(request, response)
      else this.#serveAnswer(request, response)
    })
  }

  #serveBehaviour(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'GET') {
      writeJson(response, 200, this.#current)
    } else if (request.method === 'POST') {
      const query = new URL(request.url ?? '/', 'http://service').searchParams
      try {
        this.#current = this.#changed(query)
      } catch (error) {
        writeJson(response, 400, { error: error instanceof Error ? error.message : String(error) })
        return
      }
      const { failRate, failStatus, delayMs } = this.#current
      console.log(
        `behaviour is now failRate=${failRate} failStatus=${failStatus} delayMs=${delayMs}`,
      )
      writeJson(response, 200, this.#current)
    } else {
      response.setHeader('allow', 'GET, POST')
      writeJson(response, 405, { error: 'expected GET or POST' })
    }
  }

  #changed(query: URLSearchParams): Behaviour {
    for (const name of query.keys()) {
      if (!['failRate', 'failStatus', 'delayMs'].includes(name)) {
        throw new Error(`${name}: expected failRate, failStatus or delayMs`)
      }
    }
    const names = ['failRate', 'failStatus', 'delayMs'] as const
    return withChanges(this.#current, (name) => query.get(name), names)
  }

  #serveAnswer(request: IncomingMessage, response: ServerResponse): void {
    const { failRate, failStatus, delayMs } = this.#current
    const answer = () => {
      if (response.destroyed) return
      const failed = Math.random() < failRate
      response.setHeader('x-version', this.#version)
      writeJson(response, failed ? failStatus : 200, {
        service: serviceName,
        version: this.#version,
        instance: this.#instance,
        method: request.method,
        path: request.url,
        headers: headersOf(request),
        ...(failed ? { error: 'this request was chosen to fail' } : {}),
      })
    }
    if (delayMs > 0) setTimeout(answer, delayMs)
    else answer()
  }
}

function portOf(text: string): number {
  try {
    return parseWholeNumber('PORT', text, { low: 0, high: 65535 })
  } catch {
    throw new Error(`PORT: expected a port, got ${JSON.stringify(text)}`)
  }
}

function run(environment: NodeJS.ProcessEnv): void {
  const start = withChanges(
    { failRate: 0, failStatus: 503, delayMs: 0 },
    (name) => environment[name],
    ['FAIL_RATE', 'FAIL_STATUS', 'DELAY_MS'],
  )
  const port = portOf(environment['PORT'] ?? '')
  const version = environment['VERSION'] || 'v1'
  const service = new Service(version, environment['INSTANCE'] || String(process.pid), start)
  const server = createServer((request, response) => service.serve(request, response))
  server.on('error', (error) => fail(error.message))
  server.listen(port, environment['HOST'] || '127.0.0.1', () => {
    // A server that listens on TCP has an address of this kind.
    const address = server.address() as AddressInfo
    console.log(`${serviceName} ${version} listens on ${address.address}:${address.port}`)
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close()
      server.closeIdleConnections()
      setTimeout(() => server.closeAllConnections(), 3_000).unref()
    })
  }
}

function fail(message: string): void {
  console.error(`${serviceName}: ${message}`)
  process.exitCode = 1
}

try {
  run(process.env)
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
