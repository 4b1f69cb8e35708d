"""The word lists of the negation grammar: every word whose class matters to it, in lower case."""

from __future__ import annotations

from typing import Final

Phrase = tuple[str, ...]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[Phrase]:
    return frozenset(tuple(phrase.split()) for phrase in text.split("/") if phrase.strip())


# What says no. The grammar decides by kind what may stand around each.
WITHOUT: Final = _phrases("without/lacking/lacks/devoid of/free of/free from/excluding/minus") | {("w/o",), ("w/out",)}
NO: Final = _phrases("no/not a single/not any/never any")
NOT: Final = _phrases("not/never")
NEITHER: Final = _phrases("neither")
EXCEPT: Final = _phrases("except/except for")
COPULA: Final = _set("is are was were")
IS_NOT: Final = _set("isn't aren't wasn't weren't") | _set("isnt arent wasnt werent")
DO_NOT: Final = _phrases("do not/does not/did not/don't/doesn't/didn't/dont/doesnt/didnt")
HAVE: Final = _set("have wear show include contain feature")
ORDER: Final = _set("show include draw add put paint use render depict generate")
ORDERS: Final = _phrases("remove/avoid/exclude/omit/leave out/i don't want/i do not want/we don't want/we do not want")

# What may stand around a negation and goes with it.
RELATIVE: Final = _set("who that which where")
SUBJECT: Final = _set("he she they it")
SUBJECT_IS: Final = _set("he's she's they're it's who's that's")
HOLDER: Final = _set("with has have had having wearing wears showing shows featuring containing contains")
THERE: Final = _phrases("there is/there are/there was/there were/there's/there should be/there must be")
ADVERB: Final = _set("completely entirely totally absolutely fully clearly utterly")
LIGHT: Final = _set("wearing showing having containing including featuring")
CONNECTOR: Final = _set("and but or nor yet & plus also please")
DETERMINER: Final = _set("a an the any some his her hers their its my our your this these those all such much many whatever")
INDEFINITE: Final = _set("a an")
DEFINITE: Final = _set("the his her their its my our your this these those")
KIND_OF: Final = _set("kind kinds sort sorts type types form forms hint hints trace traces bit")
TAIL: Final = _phrases(
    "visible/present/anywhere/whatsoever/at all/please/in sight/in view/nearby/around/outside/inside/either/shown/included"
)

# What ends a noun phrase.
PREPOSITION: Final = _set(
    "in on at by with near behind under over above below beside beneath between among against during inside outside "
    "around through across along toward towards into onto from of off up down before after until since within beyond "
    "next amid upon underneath alongside opposite via about like unlike as than to for despite"
)
ROUND: Final = _set("in on behind around under inside above below beside over between outside across along beneath among near")
OPENS: Final = ROUND | _set("at by")  # dropped where a prompt would begin with it
GOES_ON: Final = _set(
    "that which whose whom who to for than as like unlike about from into despite off up except excluding besides apart save"
)
VERB: Final = _set(
    "wears holds looks stands sits smiles walks runs seems appears lives stares rides carries plays reads comes goes"
)
FINITE: Final = VERB | _set(
    "is are was were has have had can could will would shall should may might must does do did isn't aren't wasn't "
    "weren't can't won't"
)
PRONOUN: Final = _set(
    "i you he she it we they me him us them one ones it's myself himself herself itself themselves each other another "
    "anyone anything anybody someone something everyone everything everybody nothing nobody none what whom mine two "
    "three four five six seven eight nine ten twenty thirty forty fifty hundred thousand more less matter"
)
OBJECT: Final = _set("it him her them me us")
OTHER_FUNCTION: Final = _set(
    "whose while when then just only because if though although so too very still once again ever not never no without "
    "nor or and but yet & plus except neither excluding minus w/o w/out lacking lacks there who that which where how why "
    "whether be been being am don't doesn't isn't aren't"
)
FUNCTION: Final = PREPOSITION | FINITE | PRONOUN | OTHER_FUNCTION | DETERMINER

# What a word makes of the words around it.
COLOUR: Final = _set(
    "red green blue yellow orange purple pink brown black white grey gray golden silver violet turquoise teal beige cyan "
    "magenta crimson scarlet blonde blond"
)
ADJECTIVE: Final = COLOUR | _set(
    "dark light bright pale deep navy big large small tiny huge little tall short long old new young wooden metal round "
    "square natural soft hard heavy thick thin curly straight dirty clean broken plain striped colorful colourful vivid "
    "warm cold dramatic cinematic"
)
COMMON_NOUN_ING: Final = _set(
    "building buildings ring string wing king ceiling painting lighting clothing earring railing swing morning evening "
    "lightning thing spring wedding parking swimming writing drawing lettering shading sling icing frosting stocking "
    "awning paving flooring bedding seasoning dressing filling topping stuffing piercing lining marking crossing landing "
    "carving branding closing housing packaging scaffolding fencing sibling dumpling duckling pudding herring bling "
    "boxing stitching"
)
SEEN_DOING: Final = _set(
    "smiling frowning laughing grinning crying screaming blinking shouting pouting blushing winking smirking"
)
LOOKING: Final = _set("looking staring gazing pointing smiling glancing leaning sitting standing lying facing resting")
ANIMATE: Final = _set(
    "people person persons human humans man men woman women child children kid kids boy boys girl girls crowd crowds "
    "pedestrian pedestrians tourist tourists passenger passengers driver drivers rider riders figure figures car cars "
    "vehicle vehicles truck trucks bus buses boat boats ship ships bird birds dog dogs cat cats animal animals horse "
    "horses cow cows fish insects bikes cyclists traffic cattle sheep"
)
ABSTRACT: Final = _set(
    "doubt doubts end limit limits equal fail question warning effort pause fear fears hesitation permission care cares "
    "purpose reason reasons hope regret regrets mercy meaning time need help sleep love rest success direction worry "
    "worries sound rules boundaries problem problems soul loss delay rush hurry exception choice escape return guilt "
    "shame remorse honor honour power cause charm interruption way idea joke place mistake wonder matter chance luck "
    "peer precedent thought name future past borders home country gravity sense comment comments thanks difference "
    "trouble pain gain"
)
DEGREE: Final = _set(
    "too very so quite really overly that as much many enough all every always only just even yet far necessarily unlike "
    "exactly entirely completely fully to in on at from because if long more less merely simply sure surprisingly "
    "unlikely until"
)
NAME_OF_KIND: Final = _set("look style sign zone policy rule sticker")
PEOPLE_DO: Final = _set("walking talking shopping swimming working")
FRAME: Final = _set("image picture photo photograph frame shot scene painting drawing composition render illustration")
PART: Final = _set(
    "background foreground sky roof roofs wall walls ceiling branch branches window windows door doors corner corners "
    "edge edges side sides top bottom middle center centre front back surface label cover sleeve sleeves collar screen "
    "horizon distance air head face hair hand hands ear ears neck eye eyes chin lip lips arm arms wrist wrists finger "
    "fingers chest shoulder shoulders feet legs body skin nose mouth forehead cheeks lawn driveway"
)
TIME: Final = _set(
    "snow rain fog mist sun sunlight moonlight dark darkness night morning evening afternoon day daytime daylight sunset "
    "sunrise dawn dusk noon midnight winter summer spring autumn fall storm style light shade"
)
EITHER_PLACE: Final = _set("table floor counter shelf shelves desk water street streets road roads bench benches ground plate")
UNIVERSAL: Final = _set("all every any various assorted")
SAYING: Final = _set("says say saying said titled called named labelled labeled spelling spells reading reads")
LIVING: Final = _set("go goes gone going do does live lives living leave leaves leaving left")
DENIAL: Final = _set(
    "not never no nothing none nobody hardly can't cannot won't don't doesn't didn't isn't aren't wasn't weren't "
    "wouldn't couldn't without neither"
)
HELPER: Final = _set("do does did can could will would shall should may might must has have had why if whether of")

# Left alone, and nothing said: everyone knows that they do not leave a thing out.
FIXED: Final = _phrases(
    "no man's land/no mans land/no one/no doubt/no longer/no more/no matter/no way/no time/no reason/no wonder/no idea/"
    "no problem/no limits/no place like/no less/no sooner/no end/no means/no exit/no parking/no smoking/no entry/"
    "no trespassing/no swimming/no fishing/no vacancy/no filter/no mercy/no joke/no game no life/no nonsense/no stranger/"
    "no bigger/no dogs allowed/no pets allowed/no man is/no two/no need/no diving/no stopping/no fly zone/nothing but/"
    "with or without/not only/not just/not far/not yet/not long/not quite/not unlike/not to mention/not to scale/"
    "not to be/not at all/not always/not necessarily/not even/not for sale/not merely/why not/without doubt/"
    "without a doubt/without end/without limits/without limit/without fail/without question/without warning/"
    "without a trace/without a sound/without a care/without equal/minus sign/plus minus/minus symbol/never before/"
    "never again/never mind/never ending/remove before/do not disturb/do not enter/do not cross/free of charge/"
    "comic sans"
)
FREE_FIXED: Final = _set(
    "sugar gluten fat dairy duty hands care tax toll stress pain rent royalty lactose caffeine alcohol cruelty carefree "
    "germ rust"
)
NON_FIXED: Final = _set(
    "fiction binary stick alcoholic slip profit toxic stop human smoking verbal linear dairy violent existent standard "
    "euclidean vegetarian vegan"
)
NON: Final = COLOUR | _set("smiling blurry blurred shiny glossy striped bearded wooden metallic transparent reflective")
FREE: Final = {
    **{
        name: name
        for name in _set(
            "people text clutter blur noise traffic snow smoke fog grass litter graffiti makeup glare grain beard mustache"
        )
    },
    **{name: f"{name}s" for name in _set("car cloud tree crowd watermark wrinkle weed shadow")},
    "leaf": "leaves",
}
LESS: Final = {
    **{f"{name}less": name for name in _set("hat beard mustache moustache moon sun snow roof lawn chimney lid")},
    **{f"{name}less": f"{name}s" for name in _set("cloud tree star window door car eyebrow wheel")},
    "leafless": "leaves",
}
