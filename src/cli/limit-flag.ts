import { InvalidArgumentError } from 'commander';

/** Reads the value of `--limit`. */
export function limitUpTo(most: number): (text: string) => number {
  return (text) => {
    const limit = Number(text);
    if (/^\d+$/.test(text) && limit >= 1 && limit <= most) return limit;
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${most}.`);
  };
}
