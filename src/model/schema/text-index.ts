/** Line and column, both from 1, of offsets in a text. */

export interface TextPosition {
  readonly line: number
  readonly column: number
}

export class TextIndex {
  readonly #lineStarts: number[] = [0]

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
      this.#lineStarts.push(at + 1)
    }
  }

  /** Of an offset below zero (a value that came through the API): line 0, column 0. */
  positionOf(offset: number): TextPosition {
    if (offset < 0) return { line: 0, column: 0 }
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (this.#lineStarts[low] ?? 0) + 1 }
  }
}
