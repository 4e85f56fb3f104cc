"""What the made-up workers of the crowd sample wrote: composed for llmforge, nobody's real answers.

A block a term: the term and its category, then the answers. Where there are two answers, the third worker wrote what
the first did.
"""

ANSWERS = """
variable | syntax
A name that refers to an object, so that the program can use the object again later.
A label that you stick on a value.
It is where you keep a value under a name while the program runs.

assignment | syntax
A statement that binds a name to the value on the right of the equals sign.
Giving a name to a value with one equals sign.

expression | syntax
A piece of code that Python works out to a single value, such as two plus three.
Anything in the code that gives back a value.
Code that is computed to a value, from a plain number up to a long call.

statement | syntax
One complete instruction, such as an assignment, an import or a loop.
A line that tells Python to do something.

indentation | syntax
The spaces at the start of a line, which show to which block the line belongs.
Moving code to the right so Python knows it is inside something.
White space in front of code; in Python it has meaning and groups the lines.

comment | syntax
Text after a hash sign that is meant for people and that Python skips.
A note in the code that is not run.

string | data type
A sequence of characters that cannot be changed after it was made.
Text between quotes.
A piece of text, written in single, double or triple quotes.

integer | data type
A whole number of any size, positive, negative or zero.
A number without a point in it.

float | data type
A number with a fractional part, stored in binary and therefore only approximate.
A decimal number like 3.14 that may be a tiny bit off.
A real number kept in double precision.

boolean | data type
One of the two truth values, True and False.
Yes or no as a value.

list | data type
An ordered collection whose items can be changed, added and removed.
A row of things in square brackets.
A container that keeps its items in order and that you can change in place.

tuple | data type
An ordered collection that is fixed once it was made.
Like a list but you can not change it.

dictionary | data type
A collection of pairs, in which a value is looked up by its key.
Keys and values in curly brackets.
A table that leads from a key to a value, and remembers in which order the keys came.

set | data type
A collection without order that holds every item only once.
A bag of things with no repeats.

none | data type
The one object that stands for the absence of a value.
It means nothing was given back.
The value of a function that returns nothing.

bytes | data type
An immutable sequence of numbers from 0 to 255, used for raw data.
Data as it stands in a file, not as text.

slice | syntax
A part of a sequence, chosen by a start, a stop and a step.
Cutting a piece out of a list with a colon.
The notation with colons in square brackets that takes several items at once.

function | syntax
A named block of code that takes arguments and may return a value.
Code that you can call again and again.

argument | syntax
A value that is passed to a function when it is called.
What you put in the brackets of a call.
The actual value handed over in a call, by position or by name.

parameter | syntax
A name in the definition of a function that receives an argument.
The variable in the first line of a function.

return | syntax
A statement that ends a function and hands a value back to the caller.
It gives the result out of the function.
The keyword with which a function stops and delivers its result.

lambda | syntax
A small function without a name, written as one expression.
A short function on one line.

decorator | concept
A function that takes another function and returns it changed, applied with an at sign.
The thing with @ above a function.
A wrapper that adds behaviour to a function without touching its body.

closure | concept
A function that remembers the variables of the place where it was defined.
An inner function that keeps the outer values.

recursion | concept
A function solving a problem by calling itself on a smaller part of the problem.
When a function calls itself.
Defining something in terms of a smaller version of itself, until a simple case is reached.

generator | concept
A function that yields its values one at a time and pauses in between.
A function with yield in it.

iterator | concept
An object that gives its items one after another until there are none left.
Something you can call next on.
The object that a loop asks for the next item.

iterable | concept
Any object that can be looped over, because it can make an iterator.
Something that works in a for loop.

comprehension | syntax
A short notation that builds a list, set or dictionary from a loop in one expression.
A for loop inside square brackets.
A compact way to make a new collection out of another one, with a filter if wanted.

loop | syntax
A statement that repeats a block, for each item or while a condition holds.
Doing the same thing many times.

break | syntax
A statement that leaves the nearest loop at once.
It stops the loop early.
The keyword that ends the loop around it before the loop is done.

continue | syntax
A statement that skips the rest of the body and starts the next round of the loop.
It jumps to the next turn.

exception | concept
An event that interrupts the normal flow of a program, usually because of an error.
An error that you can catch.
An object that travels up through the calls until somebody handles it.

traceback | concept
A report of the calls that were active when an exception was raised.
The long error message with the file names.

assertion | syntax
A statement that raises an error if a condition does not hold.
A check for things that must be true.
A test inside the program that can be switched off with the option for optimised code.

class | syntax
A description of objects that have the same attributes and methods.
A blueprint for objects.

object | concept
A piece of data with an identity, a type and a value.
Everything in Python is one.
Something that exists in memory while the program runs and that a name may refer to.

instance | concept
An object that was made from a class.
One thing of a class.

method | concept
A function that belongs to a class and gets the instance as its first argument.
A function you call with a dot.
A function that is looked up on an object and knows the object it works on.

attribute | concept
A value that is reached by writing its name after an object and a dot.
A variable inside an object.

inheritance | concept
A way for a class to take over the attributes and methods of another class.
Children classes get the stuff of the parent.
Making a new class out of an older one by adding or changing parts.

constructor | concept
The call of a class that makes a new instance and sets it up.
The init method.

property | concept
An attribute whose value is computed by a method when it is read.
A method that looks like a variable.
A way to run code on reading or setting an attribute.

module | library
A file of Python code that other code can import.
A py file.

package | library
A folder of modules that is imported under one name.
Several modules in one directory.
A module that contains other modules, usually a directory with an init file.

import | syntax
A statement that loads a module and binds its name.
It makes other code available.

namespace | concept
A mapping from names to objects, such as the names of a module or of a function.
The place where names live.
A space in which a name has one meaning, so that equal names do not clash.

scope | concept
The part of a program in which a name can be used directly.
Where you can see a variable.

docstring | syntax
A string at the start of a module, class or function that says what it is for.
The text in triple quotes under def.
Documentation that stands in the code and can be read by the help function.

annotation | syntax
A note on the type of a parameter, a return value or a variable.
The type after the colon.

context manager | concept
An object that prepares something on entering a with block and cleans up on leaving it.
The thing you use with with.
It guarantees that a file is closed or a lock is released, even after an error.

virtual environment | library
A folder with its own Python and its own installed packages, kept apart from others.
A separate place to install packages.

interpreter | concept
The program that reads Python code and executes it.
The python command.
The machine in software that runs bytecode and offers the interactive prompt.

bytecode | concept
The compact instructions into which Python translates source code before running it.
What is in the pyc files.

garbage collection | concept
Freeing the memory of objects that the program can no longer reach.
Python cleans up the memory by itself.
Counting references to objects, and searching for cycles that nobody refers to any more.

coroutine | concept
A function that can be suspended and resumed, defined with async def.
A function that you await.

thread | concept
One of several flows of control that run inside the same process.
A way to do two things at once.
A line of execution that shares its memory with the other threads of the program.

hash | concept
A number computed from an object, by which dictionaries and sets find it quickly.
A fingerprint of a value.

mutable | concept
Able to be changed after it was made, as a list is and a tuple is not.
You can change it.
Said of objects whose value can change while their identity stays the same.

operator | syntax
A symbol such as plus or less than that combines values into a new value.
Signs like + and -.
"""
