import { z } from "zod";

/** A gRPC address, in the three forms that it is needed in. */
export interface EchoAddress {
  /** As it was given, `:50051`. */
  readonly given: string;
  /** What a server binds: `[::]:50051` for `:50051`, which is IPv6 and IPv4. */
  readonly bind: string;
  /** What a client dials: `localhost:50051` for `:50051`. */
  readonly dial: string;
}

const IPV6 = "[0-9a-f:.]+(?:%[\\w.-]+)?";
/** What a host name has not: such a value is a URL, or has a user's name in it. */
const NAME = "[^\\s/\\\\:@?#[\\]]";

/** A host name or an IP address. */
export const hostSchema = z.string().regex(new RegExp(`^(${IPV6}|${NAME}+)$`, "i"));

/**
 * `host:port` or `:port`. Go's `:port` is spelled out here, since grpc-js neither binds nor dials
 * it: binding fails with "No addresses resolved", and a dial hangs until its deadline.
 */
export const addressSchema = z.string()
  .regex(new RegExp(`^(\\[${IPV6}\\]|${NAME}*):\\d{1,5}$`, "i"))
  .refine((given) => Number(portOf(given)) <= 65535)
  .transform((given): EchoAddress => {
    if (!given.startsWith(":")) return { given, bind: given, dial: given };
    return { given, bind: `[::]${given}`, dial: `localhost${given}` };
  });

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
