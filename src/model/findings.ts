/** What has been found in one document, by path or offset, and its issues with file, line and column. */
import type { Issue } from './issue.ts'
import type { SourcePosition } from './resource.ts'
import type { Problem, Reading } from './schema/shape.ts'
import { isNull, nodeAt, offsetOf } from './schema/source-node.ts'
import type { SourceNode } from './schema/source-node.ts'
import type { TextIndex } from './schema/text-index.ts'

/** A document with more findings than anybody reads gets one that says so instead. */
const findingsMax = 1000

interface Finding extends Problem {
  readonly path: string
  readonly offset: number
}

export class Findings {
  readonly #file: string
  readonly #index: TextIndex
  readonly #root: SourceNode | undefined
  readonly #found: Finding[] = []
  #resource = ''
  #hasErrors = false
  #left = 0

  constructor(file: string, index: TextIndex, root?: SourceNode) {
    this.#file = file
    this.#index = index
    this.#root = root
  }

  get hasErrors(): boolean {
    return this.#hasErrors
  }

  /** `VirtualService default/reviews`, for every issue of the document. */
  name(resource: string): void {
    this.#resource = resource
  }

  add(path: string, problem: Problem): void {
    this.addAt(this.#offsetOf(path), path, problem)
  }

  addAt(offset: number, path: string, problem: Problem): void {
    if ((problem.severity ?? 'error') === 'error') this.#hasErrors = true
    if (this.#found.length < findingsMax) this.#found.push({ ...problem, path, offset })
    else this.#left++
  }

  reading(namespace: string): Reading {
    return {
      namespace,
      report: (path, problem) => {
        this.add(path, problem)
      },
      isPresent: (path) => {
        const node = this.#root === undefined ? undefined : nodeAt(this.#root, path)
        return node !== undefined && !isNull(node)
      },
    }
  }

  positionOf(path: string): SourcePosition {
    return this.positionAt(this.#offsetOf(path))
  }

  positionAt(offset: number): SourcePosition {
    return { file: this.#file, ...this.#index.positionOf(offset) }
  }

  /** In the order of the text. */
  issues(): readonly Issue[] {
    const found = this.#found.toSorted((one, other) => one.offset - other.offset)
    const issues = found.map((finding) => this.#issueOf(finding))
    if (this.#left === 0) return issues
    const rest = {
      severity: this.#hasErrors ? 'error' : 'warning',
      code: 'TUL0004',
      message: `${String(this.#left)} more findings are not listed`,
      remedy: 'Correct the others first.',
      path: '',
      offset: this.#root?.offset ?? 0,
    } as const
    return [...issues, this.#issueOf(rest)]
  }

  #issueOf(finding: Finding): Issue {
    return {
      code: finding.code ?? 'IST0106',
      severity: finding.severity ?? 'error',
      ...this.positionAt(finding.offset),
      resource: this.#resource,
      path: finding.path,
      message: finding.message,
      remedy: finding.remedy,
    }
  }

  #offsetOf(path: string): number {
    return this.#root === undefined ? 0 : offsetOf(this.#root, path)
  }
}
