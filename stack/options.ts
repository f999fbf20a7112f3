import { InvalidArgumentError } from 'commander';

/** A number that every port is moved by. */
export function readPortOffset(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 40_000)
    throw new InvalidArgumentError('a whole number from 0 to 40000');
  return value;
}

export function readBrokers(text: string): 1 | 3 {
  if (text !== '1' && text !== '3') throw new InvalidArgumentError('1 or 3');
  return text === '1' ? 1 : 3;
}
