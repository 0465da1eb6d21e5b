import { findExecutable } from "./executable.ts";

/** A program that package managers have. */
export interface InstallableProgram {
  /** Its name in messages. */
  readonly name: string;
  /** What each package manager installs, by the manager's command. */
  readonly packages: Readonly<Partial<Record<keyof typeof INSTALL, string>>>;
  /** The page for all other systems. */
  readonly page: string;
}

/**
 * Returns the command that installs a package, by the program that it starts with. A system's own
 * package manager comes before Homebrew, which runs on Linux too.
 */
const INSTALL = {
  // A container has no lists yet. Recommended packages would start more services.
  "apt-get": (sudo: string, name: string) =>
    `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${name}`,
  dnf: (sudo: string, name: string) => `${sudo}dnf install -y ${name}`,
  zypper: (sudo: string, name: string) => `${sudo}zypper install -y ${name}`,
  pacman: (sudo: string, name: string) => `${sudo}pacman -S --noconfirm ${name}`,
  apk: (sudo: string, name: string) => `${sudo}apk add ${name}`,
  brew: (_: string, name: string) => `brew install ${name}`,
};

/**
 * Returns a message for a missing program: the command that installs it on this system, if a known
 * package manager is on the `PATH`, and the page for all other systems.
 */
export async function installAdvice(
  { name, packages, page }: InstallableProgram,
): Promise<string> {
  const missing = `${name} is not on the PATH; install it`;
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  for (const manager of Object.keys(INSTALL) as (keyof typeof INSTALL)[]) {
    const wanted = packages[manager];
    if (wanted === undefined || await findExecutable(manager) === undefined) continue;
    return `${missing} with \`${INSTALL[manager](sudo, wanted)}\`, or from ${page}`;
  }
  return `${missing} from ${page}`;
}
