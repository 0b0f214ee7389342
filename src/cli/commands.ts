/**
 * The commands of the CLI, in the order that help lists them. Each is loaded when it is wanted: a sidecar's
 * process does not pay for the translation, nor `tulle version` for a proxy.
 */
import type { Command } from './command.ts'

type Load = () => Promise<Command>

const loaders: Readonly<Record<string, Load>> = {
  up: async () => (await import('./commands/up.ts')).upCommand,
  run: async () => (await import('./commands/run.ts')).runCommand,
  get: async () => (await import('./commands/get.ts')).getCommand,
  describe: async () => (await import('./commands/describe.ts')).describeCommand,
  status: async () => (await import('./commands/status.ts')).statusCommand,
  top: async () => (await import('./commands/top.ts')).topCommand,
  explain: async () => (await import('./commands/explain.ts')).explainCommand,
  test: async () => (await import('./commands/test.ts')).testCommand,
  analyze: async () => (await import('./commands/analyze.ts')).analyzeCommand,
  fault: async () => (await import('./commands/fault.ts')).faultCommand,
  'proxy-config': async () => (await import('./commands/proxy-config.ts')).proxyConfigCommand,
  sidecar: async () => (await import('./commands/sidecar.ts')).sidecarCommand,
  upgrade: async () => (await import('./commands/upgrade.ts')).upgradeCommand,
  token: async () => (await import('./commands/token.ts')).tokenCommand,
  ca: async () => (await import('./commands/ca.ts')).caCommand,
  check: async () => (await import('./commands/check.ts')).checkCommand,
  'control-plane': async () => (await import('./commands/control-plane.ts')).controlPlaneCommand,
  version: async () => (await import('./commands/version.ts')).versionCommand,
  agent: async () => (await import('./commands/agent.ts')).agentCommand,
}

/** The command that a command line names; all of them when it names none. */
export function loadCommands(words: readonly string[]): Promise<readonly Command[]> {
  const named = Object.hasOwn(loaders, words[0] ?? '') ? loaders[words[0] ?? ''] : undefined
  const wanted = named === undefined ? Object.values(loaders) : [named]
  return Promise.all(wanted.map((load) => load()))
}
