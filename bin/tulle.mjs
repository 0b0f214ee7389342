/**
 * Starts src/bin/tulle.ts with the compile cache on. Plain JavaScript, because the parser of TypeScript that Node loads for
 * an entry point in TypeScript costs 17 MB and 100 ms, and what is imported after this comes stripped from the cache.
 */
import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

// An installation that this user cannot write to: the cache belongs to the user then.
const userCache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
const folders = [join(root, 'build', 'compile-cache'), join(userCache, 'tulle')]
const given = process.env['NODE_COMPILE_CACHE']
for (const folder of given === undefined ? folders : [given]) {
  if (enableCompileCache(folder).directory !== undefined) break
}

const source = '../src/bin/tulle.ts'
await import(existsSync(new URL(source, import.meta.url)) ? source : '../dist/bin/tulle.js')
