/** A protobuf field mask over JSON: keeps the named paths, going through every element of a list. */

interface MaskTree {
  [field: string]: MaskTree
}

export function applyMask(value: object, mask: string): Readonly<Record<string, unknown>> {
  const tree: MaskTree = Object.create(null) as MaskTree
  for (const path of mask.split(',')) {
    let node = tree
    for (const step of path.trim().split('.')) node = node[step] ??= Object.create(null) as MaskTree
  }
  return trim(value, tree) as Readonly<Record<string, unknown>> // an object stays an object
}

function trim(value: unknown, tree: MaskTree): unknown {
  if (Object.keys(tree).length === 0) return value
  if (Array.isArray(value)) return value.map((item) => trim(item, tree))
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).flatMap(([key, inner]) => {
    const node = tree[key]
    return node === undefined ? [] : [[key, trim(inner, node)] as const]
  })
  return Object.fromEntries(kept)
}
