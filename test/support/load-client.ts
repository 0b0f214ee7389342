/**
 * A small fast HTTP/1.1 client for scenes under load: some kept connections to a sidecar's proxy port, requests
 * in absolute form as every client with proxy variables sends them, one at a time on each connection. It writes
 * down every answer with its time, so that a test can ask what the share was since a moment.
 *
 * It reads just as much of HTTP as the example service and the sidecar answer with: a length, no chunks.
 */
import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  /** `http://127.0.0.1:15001`, as HTTP_PROXY has it. */
  readonly proxy: string
  readonly url: string
  readonly connections?: number
  /** Time between an answer and the next request of a connection; 0: as fast as it goes. */
  readonly pauseMs?: number
  /** Ends by itself after so many answers. */
  readonly total?: number
}

export interface Answer {
  /** As performance.now() says it, at the end of the answer. */
  readonly atMs: number
  /** 0: the connection ended before an answer did. */
  readonly status: number
  /** Of the header x-version; empty when somebody else than the service answered. */
  readonly version: string
  readonly body: string
}

export class Load implements AsyncDisposable {
  readonly answers: Answer[] = []
  readonly #options: LoadOptions
  readonly #done: Promise<unknown>
  readonly #wanted: number
  readonly #owed = new Map<Connection, number>()
  #sent = 0
  #isStopping = false

  constructor(options: LoadOptions) {
    this.#options = options
    this.#wanted = options.total ?? Number.POSITIVE_INFINITY
    const { connections = 8 } = options
    this.#done = Promise.all(Array.from({ length: connections }, () => this.#runConnection()))
  }

  /** Resolves when the number of answers asked for has come. */
  async end(): Promise<this> {
    await this.#done
    return this
  }

  /** Lets what is under way end, and resolves then. */
  async stop(): Promise<this> {
    this.#isStopping = true
    return this.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  since(atMs: number): readonly Answer[] {
    return this.answers.filter((answer) => answer.atMs >= atMs)
  }

  /** Local ports of connections on which an answer is owed for longer than that. */
  owedFor(longerThanMs: number): readonly number[] {
    const nowMs = performance.now()
    return [...this.#owed].flatMap(([connection, sinceMs]) =>
      nowMs - sinceMs > longerThanMs ? [connection.localPort] : [],
    )
  }

  async #runConnection(): Promise<void> {
    const { hostname, port } = new URL(this.#options.proxy)
    while (this.#takeTurn()) {
      const connection = new Connection(connect({ host: hostname, port: Number(port) }))
      // One request is owed; the connection then takes more for as long as it is kept.
      let isKept = true
      do {
        this.#owed.set(connection, performance.now())
        const answer = await connection.ask(this.#request())
        this.#owed.delete(connection)
        this.answers.push(answer)
        isKept = answer.status !== 0 && !connection.isTold
        const { pauseMs = 0 } = this.#options
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      } while (isKept && this.#takeTurn())
      connection.close()
    }
  }

  #takeTurn(): boolean {
    if (this.#isStopping || this.#sent >= this.#wanted) return false
    this.#sent += 1
    return true
  }

  #request(): string {
    const { url } = this.#options
    return `GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`
  }
}

class Connection {
  readonly #socket: Socket
  #received = ''
  #pending: ((answer: Answer) => void) | undefined
  #isEnded = false
  /** The last answer said that there is no next one. */
  isTold = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('error', () => {
      // 'close' follows, and says it all.
    })
    socket.on('close', () => {
      this.#isEnded = true
      this.#settle({ status: 0, version: '', body: this.#received })
    })
    socket.on('data', (chunk: string) => {
      this.#received += chunk
      this.#readAnswer()
    })
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  ask(request: string): Promise<Answer> {
    return new Promise((resolve) => {
      this.#pending = resolve
      if (this.#isEnded) this.#settle({ status: 0, version: '', body: '' })
      else this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #readAnswer(): void {
    const end = this.#received.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#received.slice(0, end)
    this.isTold = /\r\nconnection: *close/i.test(head)
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    if (this.#received.length < end + 4 + length) return
    const body = this.#received.slice(end + 4, end + 4 + length)
    this.#received = this.#received.slice(end + 4 + length)
    const version = /\r\nx-version: *(\S+)/i.exec(head)?.[1] ?? ''
    this.#settle({ status: Number(head.slice(9, 12)), version, body })
  }

  #settle(answer: Omit<Answer, 'atMs'>): void {
    const pending = this.#pending
    this.#pending = undefined
    pending?.({ atMs: performance.now(), ...answer })
  }
}

/** Of the answers that a version gave, how many one version gave. */
export function shareOf(version: string, answers: readonly Answer[]): number {
  const served = answers.filter((answer) => answer.version !== '')
  return served.filter((answer) => answer.version === version).length / served.length
}

/** What a caller would call an error, in short and counted: `503 upstream connect error …: 3`. */
export function failuresOf(answers: readonly Answer[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { status, body } of answers) {
    if (status === 200) continue
    const text = `${status} ${body.slice(0, 120)}`
    counts[text] = (counts[text] ?? 0) + 1
  }
  return counts
}
