/** One shell that keeps its variables and functions, as a person's does, for tests that type what a guide says. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

import { eventually } from './eventually.ts'

export interface ShellPlace {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

export class ShellTerminal {
  readonly #child: ChildProcess
  #output = ''

  constructor(place: ShellPlace) {
    this.#child = spawn('sh', [], place)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
  }

  async type(block: string): Promise<{ output: string; code: number }> {
    this.#output = ''
    this.#child.stdin?.write(`${block}\necho "<code $?>"\n`)
    const end = await eventually(() => /<code (\d+)>\n$/.exec(this.#output) ?? undefined, {
      deadlineMs: 30_000,
    })
    // Some answers, as curl prints them, do not end their last line.
    return { output: this.#output.slice(0, end.index), code: Number(end[1]) }
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.stdin?.end()
    await ended
  }
}
