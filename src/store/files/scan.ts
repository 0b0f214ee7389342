/**
 * Looks through folders for files of configuration, and reads one.
 *
 * Loaded are `*.yaml`, `*.yml` and `*.json`, in all folders below, but not names that start with a dot, `#` or
 * `~` (editors' swap, lock and backup files; `.git`), nor `node_modules`. Symbolic links are not followed: a
 * link can lead round in a circle or out of what the reader thinks the mesh watches; each is an issue, and so
 * is what cannot be read. A path that is given by name may be a link and may have any extension.
 * Bounds: `filesMax`, `foldersMax`, `fileBytesMax`.
 */
import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { lstat, open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { describeError } from '../../lib/mesh-error.ts'
import type { Issue } from '../../model/issue.ts'
import { compareText } from '../identity.ts'

export interface ScanLimits {
  readonly filesMax: number
  readonly foldersMax: number
  readonly fileBytesMax: number
}

export interface Scan {
  /** Path → fingerprint of each file, in path order. */
  readonly files: ReadonlyMap<string, string>
  /** Folders to watch: all that were looked through, and those that hold a file given by name. */
  readonly folders: readonly string[]
  /** The scan could not see what is at or below these paths: what was loaded from there stays. */
  readonly hidden: readonly string[]
  /** A ceiling was met; files that are not in `files` may exist all the same. */
  readonly isTruncated: boolean
  readonly issues: readonly Issue[]
}

const extensions = ['.yaml', '.yml', '.json']

export function isConfigFile(name: string): boolean {
  return !isIgnored(name) && extensions.some((extension) => name.endsWith(extension))
}

function isIgnored(name: string): boolean {
  return /^[.#~]/.test(name) || name === 'node_modules'
}

interface Walk {
  readonly limits: ScanLimits
  readonly files: Map<string, string>
  readonly folders: Set<string>
  readonly hidden: string[]
  readonly issues: Issue[]
  /** Resolved paths, so that a file named by two roots is loaded once. */
  readonly seen: Set<string>
  isTruncated: boolean
}

/** Never rejects: what goes wrong is an issue. */
export async function scanPaths(paths: readonly string[], limits: ScanLimits): Promise<Scan> {
  const walk: Walk = {
    limits,
    files: new Map(),
    folders: new Set(),
    hidden: [],
    issues: [],
    seen: new Set(),
    isTruncated: false,
  }
  for (const path of paths) await scanRoot(walk, path)
  if (walk.isTruncated) {
    const { filesMax, foldersMax } = limits
    walk.issues.push(
      scanIssue(paths.join(', '), {
        code: 'TUL0205',
        message: `more than ${filesMax} files or ${foldersMax} folders; the rest is not loaded`,
        remedy: 'Point at the folder that holds only configuration, or split it.',
      }),
    )
  }
  const files = new Map([...walk.files].sort(([a], [b]) => compareText(a, b)))
  return { ...walk, files, folders: [...walk.folders] }
}

async function scanRoot(walk: Walk, path: string): Promise<void> {
  try {
    const stats = await stat(path, { bigint: true })
    if (stats.isDirectory()) return await scanFolder(walk, path)
    walk.folders.add(join(path, '..'))
    addFile(walk, path, stats)
  } catch (error) {
    // A file that is not there takes its resources with it. A folder that is not there (not mounted yet, moved
    // for a moment) would take the whole mesh with it: what came from below it stays.
    walk.hidden.push(isMissing(error) ? join(path, '/') : path)
    walk.issues.push(unreadable(path, error))
  }
}

async function scanFolder(walk: Walk, folder: string): Promise<void> {
  const resolved = resolve(folder)
  if (walk.seen.has(resolved)) return
  walk.seen.add(resolved)
  if (walk.folders.size >= walk.limits.foldersMax) {
    walk.isTruncated = true
    return
  }
  walk.folders.add(folder)
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    walk.hidden.push(folder)
    walk.issues.push(unreadable(folder, error))
    return
  }
  for (const name of names.sort(compareText)) {
    if (!isIgnored(name)) await scanEntry(walk, join(folder, name), name)
  }
}

async function scanEntry(walk: Walk, path: string, name: string): Promise<void> {
  let stats: BigIntStats
  try {
    stats = await lstat(path, { bigint: true })
  } catch (error) {
    // Gone since readdir: the next scan is right. Anything else hides what was there.
    if (isMissing(error)) return
    walk.hidden.push(path)
    walk.issues.push(unreadable(path, error))
    return
  }
  if (stats.isDirectory()) return scanFolder(walk, path)
  if (stats.isSymbolicLink()) return reportLink(walk, path, name)
  if (isConfigFile(name)) addFile(walk, path, stats)
}

async function reportLink(walk: Walk, path: string, name: string): Promise<void> {
  // A link to something that would not be loaded anyway is nobody's concern.
  const leadsToFolder = await stat(path).then(
    (target) => target.isDirectory(),
    () => false,
  )
  if (!leadsToFolder && !isConfigFile(name)) return
  walk.issues.push(
    scanIssue(path, {
      code: 'TUL0203',
      severity: 'warning',
      message: 'is a symbolic link, which is not followed',
      remedy: "Put the file itself there, or name the link's target under `config`.",
    }),
  )
}

/** Whether a file that the scan did not find may well be there. */
export function isHidden(path: string, scan: Pick<Scan, 'hidden' | 'isTruncated'>): boolean {
  if (scan.isTruncated) return true
  const resolved = resolve(path)
  return scan.hidden.some((hidden) => {
    const isExact = !hidden.endsWith('/') && resolve(hidden) === resolved
    return isExact || resolved.startsWith(join(resolve(hidden), '/'))
  })
}

function addFile(walk: Walk, path: string, stats: BigIntStats): void {
  if (!stats.isFile()) {
    walk.issues.push(
      scanIssue(path, {
        code: 'TUL0201',
        message: 'is neither a file nor a folder',
        remedy: 'Remove it, or put a file there.',
      }),
    )
    return
  }
  const resolved = resolve(path)
  if (walk.seen.has(resolved)) return
  if (walk.files.size >= walk.limits.filesMax) {
    walk.isTruncated = true
    return
  }
  walk.seen.add(resolved)
  walk.files.set(path, fingerprintOf(stats))
}

function fingerprintOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`
}

/** What a file held when it was looked at. */
export type Content =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly issue: Issue }

export interface FileRead {
  readonly content: Content
  /** Fingerprint of what was read; undefined when it changed under the reader's eyes: look again. */
  readonly fingerprint: string | undefined
  readonly modifiedAtMs: number
}

/** Never rejects. */
export async function readConfigFile(path: string, bytesMax: number): Promise<FileRead> {
  try {
    // O_NONBLOCK: opening a pipe that was put in the file's place must not hang.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const before = await file.stat({ bigint: true })
    if (before.size > BigInt(bytesMax)) return readResult(tooLarge(path, bytesMax), before)
    const bytes = await file.readFile()
    const after = await file.stat({ bigint: true })
    const isSame = fingerprintOf(before) === fingerprintOf(after)
    return readResult(decodeText(path, bytes), after, isSame)
  } catch (error) {
    if (isMissing(error)) return readResult({ kind: 'missing' })
    return readResult({ kind: 'unreadable', issue: unreadable(path, error) })
  }
}

function readResult(content: Content, stats?: BigIntStats, isSame = true): FileRead {
  if (stats === undefined) return { content, fingerprint: undefined, modifiedAtMs: 0 }
  const modifiedAtMs = Number(stats.mtimeNs / 1_000_000n)
  return { content, fingerprint: isSame ? fingerprintOf(stats) : undefined, modifiedAtMs }
}

function decodeText(path: string, bytes: Uint8Array): Content {
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    // The decoder's own words ("The encoded data was not valid") say less than ours.
    const issue = scanIssue(path, {
      code: 'TUL0201',
      message: 'is not UTF-8 text',
      remedy: 'Save it as UTF-8.',
    })
    return { kind: 'unreadable', issue }
  }
}

function tooLarge(path: string, bytesMax: number): Content {
  const issue = scanIssue(path, {
    code: 'TUL0204',
    message: `is larger than ${bytesMax} bytes, the ceiling for one file`,
    remedy: 'Split it into several files.',
  })
  return { kind: 'unreadable', issue }
}

function unreadable(path: string, error: unknown): Issue {
  const message = isMissing(error)
    ? 'there is no such file or folder'
    : `cannot be read: ${describeError(error)}`
  return scanIssue(path, {
    code: 'TUL0201',
    message,
    remedy: 'Check the path and the rights of the user that the control plane runs as.',
  })
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOENT' || code === 'ENOTDIR'
}

type Finding = Pick<Issue, 'code' | 'message' | 'remedy'> & Partial<Pick<Issue, 'severity'>>

function scanIssue(file: string, finding: Finding): Issue {
  return { severity: 'error', ...finding, file, line: 0, column: 0, resource: '', path: '' }
}
