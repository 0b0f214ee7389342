/**
 * HPACK's Huffman code (RFC 7541 §5.2, appendix B), for reading: heads that we write are not compressed by it, because
 * what the dynamic table does not know already is short, and bits cost more time here than they save on the wire.
 *
 * The code is canonical, so the table of lengths is all of it. It is read four bits at a time: a state is a node of
 * the tree, a step gives the next node and at most one symbol (no code is shorter than five bits).
 */

/** Length in bits of the code of each octet, and of the end of the string, which must not occur. */
const codeBits =
  '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 ' +
  '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 ' +
  '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 ' +
  '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 ' +
  '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 ' +
  '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 ' +
  '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 ' +
  '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30'

const endOfString = 256
const emits = 0x100
const fails = 0x200
const accepts = 0x400
const symbolShift = 16

/** Indexed by node and four bits: the next node, flags, and the symbol above them. */
const steps = buildSteps()

/** Decodes `source[start…end]` into `target`; the length, or -1 when it is no such string or longer than `target`. */
export function decodeHuffman(
  source: Uint8Array,
  range: { readonly start: number; readonly end: number },
  target: Uint8Array,
): number {
  let state = 0
  let isEnd = true
  let length = 0
  for (let index = range.start; index < range.end; index += 1) {
    const octet = source[index] as number // in bounds
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = steps[(state << 4) | ((octet >> shift) & 15)] as number // every node has 16 steps
      if ((step & fails) !== 0) return -1
      // What does not fit is written nowhere, and found below.
      if ((step & emits) !== 0) target[length++] = step >> symbolShift
      state = step & 0xff
      isEnd = (step & accepts) !== 0
    }
  }
  // §5.2: the rest is the beginning of the end's code, and shorter than an octet.
  return isEnd && length <= target.length ? length : -1
}

interface Node {
  readonly id: number
  readonly children: [Node | number | undefined, Node | number | undefined]
  /** Reached by nothing but ones, and at most seven of them. */
  readonly isPadding: boolean
}

function buildSteps(): Int32Array {
  const nodes = buildTree()
  const table = new Int32Array(nodes.length * 16)
  for (const node of nodes) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      table[(node.id << 4) | nibble] = walk(nodes[0] as Node, node, nibble)
    }
  }
  return table
}

function walk(root: Node, from: Node, nibble: number): number {
  let node = from
  let symbol = -1
  for (let shift = 3; shift >= 0; shift -= 1) {
    const next = node.children[(nibble >> shift) & 1]
    if (next === undefined || next === endOfString) return fails
    if (typeof next === 'number') {
      symbol = next
      node = root
    } else node = next
  }
  const flags = (node.isPadding ? accepts : 0) | (symbol === -1 ? 0 : emits)
  return node.id | flags | (symbol === -1 ? 0 : symbol << symbolShift)
}

/** The canonical code: symbols by length, then by value, count upwards. */
function buildTree(): Node[] {
  const lengths = codeBits.split(' ').map(Number)
  const symbols = lengths.map((bits, symbol) => ({ bits, symbol }))
  symbols.sort((one, other) => one.bits - other.bits || one.symbol - other.symbol)
  const nodes: Node[] = [{ id: 0, children: [undefined, undefined], isPadding: true }]
  let code = 0
  let before = 0
  for (const { bits, symbol } of symbols) {
    code *= 2 ** (bits - before)
    before = bits
    addLeaf(nodes, { code, bits, symbol })
    code += 1
  }
  return nodes
}

function addLeaf(
  nodes: Node[],
  { code, bits, symbol }: { readonly code: number; readonly bits: number; readonly symbol: number },
): void {
  let node = nodes[0] as Node // the root is made first
  for (let depth = 1; depth <= bits; depth += 1) {
    const bit = Math.floor(code / 2 ** (bits - depth)) % 2 === 0 ? 0 : 1
    if (depth === bits) {
      node.children[bit] = symbol
      return
    }
    let next = node.children[bit]
    if (next === undefined || typeof next === 'number') {
      const isPadding = node.isPadding && bit === 1 && depth <= 7
      next = { id: nodes.length, children: [undefined, undefined], isPadding }
      nodes.push(next)
      node.children[bit] = next
    }
    node = next
  }
}
